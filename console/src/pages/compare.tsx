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

/** Where the records of the jobs differ from the first one's; a column a job. */
function Differences({ project, jobs }: { project: string; jobs: { id: string; name: string }[] }) {
  const [first, ...others] = jobs;
  const path = { project, job: first!.id };
  const { data, problem, reload } = useLoad(() => Promise.all(others.map((other) => call('job.diff', { path, query: { with: other.id } }))), `${project} ${jobs.map((job) => job.id).join()}`);
  const fields = [...new Set(data?.flatMap((diff) => diff.items.map((item) => item.field)))];
  const own = (field: string) => data?.flatMap((diff) => diff.items).find((item) => item.field === field)?.a;
  const say = (value: Api.Json | undefined) => value === undefined ? '–' : typeof value === 'string' ? value : JSON.stringify(value);
  return (
    <section class="card">
      <div class="card-head"><h2>Where their records differ</h2><span class="spring" />
        <Command behind={() => ({ cli: others.map((other) => command('job.diff', path, [other.id])).join('\n'), curl: others.map((other) => curl('job.diff', { path, query: { with: other.id } })).join('\n') })} /></div>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      {data && (fields.length === 0 ? <p class="faint">Nowhere: code, image, data, parameters, environment and hardware are the same.</p> : (
        <div class="wide-table" tabIndex={0} role="region" aria-label="Differences"><table class="plain-table"><thead><tr><th>Field</th>{jobs.map((job) => <th key={job.id}>{job.name}</th>)}</tr></thead>
          <tbody>{fields.map((field) => (
            <tr key={field}><td class="mono">{field}</td><td class="mono wrap">{say(own(field))}</td>
              {data.map((diff, i) => { const item = diff.items.find((one) => one.field === field); return <td class={`mono wrap${item ? '' : ' faint'}`} key={others[i]?.id}>{item ? say(item.b) : 'the same'}</td>; })}</tr>))}</tbody></table></div>))}
    </section>
  );
}

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
      {shown.length > 1 && <Differences project={project} jobs={shown} />}
    </div>
  );
}
