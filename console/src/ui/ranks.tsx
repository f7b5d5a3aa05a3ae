// ranks.tsx - the tasks of a job that has many: which one is looked at, and how each of them is
import { useEffect } from 'preact/hooks';
import type * as Api from '#declared/api';
import { call } from '../client';
import { command, curl } from '../cli';
import { bytes, duration, figure, plural, seconds } from '../format';
import { STATES } from '../jobs';
import { useLoad } from '../load';
import type { JobPath } from '../log';
import { setQuery, useLocation } from '../route';
import { Command, State, Trouble } from './parts';

export type Task = Api.AttemptTask;

/** The one that the address names; undefined: all of them, or the only one. */
export function rankOf(query: URLSearchParams, tasks: Task[]): number | undefined {
  const text = query.get('rank');
  const rank = Number(text);
  return text && tasks.length > 1 && tasks.some((task) => task.rank === rank) ? rank : undefined;
}

export const useRank = (tasks: Task[]): number | undefined => rankOf(useLocation().query, tasks);

export const rankFlags = (rank: number | undefined): string[] => rank === undefined ? [] : ['--rank', String(rank)];

/** Nothing, where there is nothing to choose. */
export function RankChoice({ tasks, rank }: { tasks: Task[]; rank: number | undefined }) {
  if (tasks.length < 2) return null;
  return (
    <label class="inline">Rank <select aria-label="Rank" value={rank ?? ''} onChange={(e) => setQuery({ rank: e.currentTarget.value })}>
      <option value="">all</option>
      {tasks.map((task) => <option key={task.rank} value={task.rank}>{task.rank}{task.role && ` ${task.role}`}</option>)}
    </select></label>
  );
}

/** A task has no state of its own, only what happened to it. */
function stateOf(task: { cause?: string; started?: string; exit_code?: number }): Api.JobState {
  if (!task.cause) return task.started ? 'running' : 'starting';
  if (task.cause === 'exited') return task.exit_code === 0 ? 'succeeded' : 'failed';
  return task.cause === 'gang' || task.cause === 'stopped' ? 'stopped' : 'failed';
}

type Used = { cpu_seconds?: number; memory_peak_bytes?: number };
interface Seen { task: Task; use: Api.TaskUse | undefined }

const Cores = ({ task, use }: Seen) => {
  const took = seconds(task.started, task.ended);
  const spent = (task.usage as Used | undefined)?.cpu_seconds;
  if (use?.now) return <>{figure(Number(use.now.cores.toFixed(2)))} of {use.cores}</>;
  return spent !== undefined && took ? <>{(spent / took).toFixed(2)}<span class="faint"> on average</span></> : <>–</>;
};

const Memory = ({ task, use }: Seen) => {
  const peak = (task.usage as Used | undefined)?.memory_peak_bytes;
  if (use?.now) return <>{bytes(use.now.memory)}<span class="faint"> of {bytes(use.memory)}</span></>;
  return peak !== undefined ? <><span class="faint">at most </span>{bytes(peak)}</> : <>–</>;
};

const Gpus = ({ use }: { use: Api.TaskUse | undefined }) => {
  const busy = use?.now?.gpus?.map((gpu) => gpu.busy).filter((part) => part !== undefined);
  const mean = busy?.length ? busy.reduce((a, b) => a + b, 0) / busy.length : undefined;
  return <>{mean !== undefined && `${Math.round(100 * mean)} % of `}{use?.gpus}</>;
};

/** Each task has its log; with mpi the first has all that is said. */
interface Props { path: JobPath; attempt: Api.Attempt; version: number; live: boolean; log: boolean }

export function Ranks({ path, attempt, version, live, log }: Props) {
  const tasks = attempt.tasks ?? [];
  const { data, problem, reload } = useLoad(() => call('top.job', { path }), `${path.project} ${path.job}`);
  useEffect(reload, [version, reload]);
  const period = tasks.length > 64 ? 10_000 : 2000;
  useEffect(() => {
    if (!live) return;
    const timer = setInterval(() => { if (!document.hidden) reload(); }, period);
    return () => clearInterval(timer);
  }, [live, period, reload]);
  const uses = new Map(data?.tasks.map((use) => [use.rank, use]));
  const rows = tasks.map((task): Seen => {
    const use = uses.get(task.rank);
    return { use, task: { ...task, started: use?.started ?? task.started, ended: use?.ended ?? task.ended, cause: use?.cause ?? task.cause, exit_code: use?.exit_code ?? task.exit_code } };
  });
  const roles = rows.some(({ task }) => task.role);
  const gpus = rows.some(({ use }) => use?.gpus);
  const states = rows.map(({ task }) => stateOf(task));
  const counts = STATES.map((state) => ({ state, n: states.filter((one) => one === state).length })).filter(({ n }) => n > 0);
  const to = (tab: string, rank: number) => <button class="plain" onClick={() => setQuery({ tab: tab === 'log' ? '' : tab, rank: String(rank) })} aria-label={`${tab === 'log' ? 'Log' : 'Hardware'} of rank ${rank}`}>{tab === 'log' ? 'Log' : 'Hardware'}</button>;
  return (
    <section class="scroll" aria-label="Ranks">
      <div class="bar"><span class="faint">{plural(rows.length, 'task')}: {counts.map(({ state, n }) => `${n} ${state}`).join(', ')}</span><span class="spring" /><Command behind={() => ({ cli: command('top.job', path), curl: curl('top.job', { path }) })} /></div>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      <div class="card wide-table" tabIndex={0} role="region" aria-label="Tasks by rank"><table class="plain-table">
        <thead><tr><th class="num">Rank</th>{roles && <th>Role</th>}<th>State</th><th>How it ended</th><th>Machine</th><th>Cores</th><th>Memory</th>{gpus && <th>GPUs</th>}
          <th class="num">Took</th><th><span class="hidden">Actions</span></th></tr></thead>
        <tbody>{rows.map(({ task, use }) => (
          <tr key={task.rank}><td class="num">{task.rank}</td>{roles && <td>{task.role}</td>}<td><State state={stateOf(task)} /></td>
            <td class="wrap">{task.exit_code !== undefined && `exit code ${task.exit_code}`}
              {task.cause && task.cause !== 'exited' && <span class="faint">{task.exit_code !== undefined && ' · '}{task.reason ?? task.cause}</span>}
              {attempt.failed_rank === task.rank && <strong class="bad"> · the first to fail</strong>}</td>
            <td>{task.allocation?.node}{task.allocation?.cpus && <span class="faint"> CPUs {task.allocation.cpus}</span>}</td>
            <td><Cores task={task} use={use} /></td><td><Memory task={task} use={use} /></td>{gpus && <td><Gpus use={use} /></td>}
            <td class="num">{task.started && task.ended ? duration(seconds(task.started, task.ended)) : ''}</td>
            <td class="num">{log && to('log', task.rank)}{to('hardware', task.rank)}</td></tr>))}</tbody>
      </table></div>
    </section>
  );
}
