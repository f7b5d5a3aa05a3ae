// compare.tsx - the charts of several jobs on top of each other
import { useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { call } from '../client';
import { command, curl } from '../cli';
import { COMPARED_MOST as MOST, isFinal } from '../jobs';
import { useLoad } from '../load';
import { href, setQuery, useLocation } from '../route';
import { ChartBoard } from '../ui/chart-board';
import { Command, Empty, State, Trouble } from '../ui/parts';

function Adder({ project, known, onAdd }: { project: string; known: string[]; onAdd: (id: string) => void }) {
  const [name, setName] = useState('');
  const { data } = useLoad(() => call('job.list', { path: { project }, query: { name: name ? `${name}*` : undefined, limit: 20 } }), `${project} ${name}`);
  const items = data?.items.filter((job) => !known.includes(job.id)) ?? [];
  return (
    <details class="adder">
      <summary class="button">Add a job</summary>
      <div class="popover" role="group" aria-label="Jobs to add">
        <input type="search" aria-label="Name begins with" placeholder="Name" value={name} onInput={(e) => setName(e.currentTarget.value.trim())} />
        <ul>{items.map((job) => <li key={job.id}><button class="plain" onClick={() => onAdd(job.id)}><State state={job.state} /> {job.name} <span class="faint mono">{job.id.slice(0, 8)}</span></button></li>)}</ul>
      </div>
    </details>
  );
}

/** Jobs of one name are told apart by their ids. */
const names = (jobs: Api.Job[]): { id: string; name: string }[] => jobs.map((job) => ({
  id: job.id, name: jobs.filter((other) => other.name === job.name).length > 1 ? `${job.name} ${job.id.slice(0, 13)}` : job.name,
}));

export function ComparePage({ project }: { project: string }) {
  const { query } = useLocation();
  const ids = (query.get('jobs') ?? '').split(',').filter(Boolean).slice(0, MOST);
  const { data, problem, reload } = useLoad(() => Promise.all(ids.map((job) => call('job.show', { path: { project, job } }))), `${project} ${ids.join()}`);
  const set = (next: string[]) => setQuery({ jobs: next.join(',') });
  const shown = names(data ?? []);
  return (
    <div class="page">
      <header class="page-head">
        <h1><a class="crumb" href={href('p', project, 'jobs')}>Jobs</a><span class="faint"> / </span>Compare</h1>
        {shown[0] && <Command behind={() => ({ cli: ids.map((job) => command('chart.list', { project, job })).join('\n'), curl: ids.map((job) => curl('chart.list', { path: { project, job } })).join('\n') })} />}
      </header>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      <div class="bar">
        {shown.map((job, i) => (
          <span class="chip-job" key={job.id}><i class="swatch" style={{ background: `var(--c${i + 1})` }} aria-hidden="true" /><a href={href('p', project, 'jobs', job.id)}>{job.name}</a>
            <button class="plain" aria-label={`Without ${job.name}`} onClick={() => set(ids.filter((id) => id !== job.id))}>✕</button></span>
        ))}
        {ids.length < MOST && <Adder project={project} known={ids} onAdd={(id) => set([...ids, id])} />}
      </div>
      {ids.length === 0 ? <Empty title="Nothing to compare">Add jobs, or choose them in the list of jobs.</Empty>
        : data && <ChartBoard project={project} jobs={shown} live={data.some((job) => !isFinal(job.state))} />}
    </div>
  );
}
