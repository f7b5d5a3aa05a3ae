// attempts.tsx - the tries of a job, each with its log, and what is needed to repeat one
import { useState } from 'preact/hooks';
import { call } from '../client';
import { command, curl } from '../cli';
import { duration, seconds } from '../format';
import { useLoad } from '../load';
import type { JobPath } from '../log';
import { LogView } from './log-view';
import { Command, copy, Empty, State, Time, Trouble } from './parts';

function Record({ path, attempt }: { path: JobPath; attempt: number }) {
  const { data, problem, reload } = useLoad(() => call('job.record', { path, query: { attempt } }), `${path.job} ${attempt}`);
  if (problem) return <Trouble reason={problem} again={reload} />;
  const text = data ? JSON.stringify(data, null, 2) : '';
  return (
    <section class="card">
      <div class="snippet-head"><h2>Record of attempt {attempt}: what is needed to repeat it, and what was read back</h2><span class="spring" />
        <Command behind={() => ({ cli: command('job.record', path, ['--attempt', String(attempt)]), curl: curl('job.record', { path, query: { attempt } }) })} />
        <button onClick={() => void copy(text)}>Copy</button></div>
      <pre class="preview" tabIndex={0}>{text}</pre>
    </section>
  );
}

export function Attempts({ path, version, mpi }: { path: JobPath; version: number; mpi: boolean }) {
  const { data, problem, reload } = useLoad(() => call('job.attempts', { path }), `${path.job} ${version}`);
  const [chosen, setChosen] = useState<{ number: number; what: 'log' | 'record' } | null>(null);
  const items = data?.items ?? [];
  if (data && !items.length) return <Empty title="No attempt has begun" />;
  return (
    <div class="attempts">
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      <div class="card"><table class="plain-table">
        <thead><tr><th class="num">Attempt</th><th>State</th><th>Reason</th><th>Machine</th><th>CPUs</th><th>Began</th><th class="num">Took</th><th><span class="hidden">Actions</span></th></tr></thead>
        <tbody>{items.map((attempt) => (
          <tr key={attempt.id}><td class="num">{attempt.number}</td><td><State state={attempt.state} /></td>
            <td class="wrap">{attempt.reason ?? attempt.cause}{attempt.exit_code !== undefined && <span class="faint"> · exit code {attempt.exit_code}</span>}</td>
            <td>{attempt.allocation?.node}</td><td><code>{attempt.allocation?.cpus}</code></td><td class="faint"><Time time={attempt.created} /></td>
            <td class="num">{attempt.started && attempt.ended ? duration(seconds(attempt.started, attempt.ended)) : ''}</td>
            <td class="num"><button class="plain" aria-pressed={chosen?.number === attempt.number && chosen.what === 'log'} onClick={() => setChosen({ number: attempt.number, what: 'log' })}>Log</button>
              <button class="plain" aria-pressed={chosen?.number === attempt.number && chosen.what === 'record'} onClick={() => setChosen({ number: attempt.number, what: 'record' })}>Record</button></td></tr>))}</tbody>
      </table></div>
      {chosen?.what === 'log' && <div class="attempt-log"><LogView key={chosen.number} path={path} attempt={chosen.number} live={false} tasks={mpi ? [] : items.find((one) => one.number === chosen.number)?.tasks} /></div>}
      {chosen?.what === 'record' && <Record path={path} attempt={chosen.number} />}
      {!chosen && items[0] && <Record path={path} attempt={items.at(-1)!.number} />}
    </div>
  );
}
