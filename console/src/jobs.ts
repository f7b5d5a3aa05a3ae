// jobs.ts - jobs in memory, kept up to date by events; the same fold as the server's, for what is shown
import type * as Api from '#declared/api';

export const STATES: Api.JobState[] = ['submitted', 'queued', 'starting', 'running', 'stopping', 'succeeded', 'failed', 'stopped'];
/** More lines than this in one chart, nobody can tell apart. */
export const COMPARED_MOST = 8;
export const isFinal = (state: Api.JobState): boolean => state === 'succeeded' || state === 'failed' || state === 'stopped';

type Data = {
  name?: string; tags?: Record<string, string>; priority?: number; number?: number; started_us?: number; ended_us?: number;
  exit_code?: number; cause?: string; reason?: string; allocation?: { node?: string };
};

const time = (us: number | undefined): string | undefined => us ? new Date(us / 1000).toISOString() : undefined;

/** A job that was just submitted, of its first event. */
export function jobOf(event: Api.Event): Api.Job {
  const data = event.data as Data;
  return { id: event.subject, project: event.project ?? '', name: data.name ?? '', state: 'submitted', priority: data.priority ?? 0,
    tags: data.tags ?? {}, version: 1, created: event.time };
}

/** The job after EVENT; the same object when nothing that is shown changes. */
export function apply(job: Api.Job, event: Api.Event): Api.Job {
  const data = (event.data ?? {}) as Data;
  const word = event.type.slice('job.'.length);
  const next: Api.Job = { ...job, version: job.version + 1, updated: event.time };
  switch (word) {
    case 'starting':
      return { ...next, state: 'starting', attempts: data.number, node: data.allocation?.node, started: undefined, ended: undefined };
    case 'running':
      return { ...next, state: 'running', started: time(data.started_us) ?? event.time };
    case 'ended':
      return { ...next, exit_code: data.exit_code, cause: data.cause, reason: data.reason, ended: time(data.ended_us) ?? event.time };
    case 'stop_requested':
      return { ...next, stop_requested: true, state: job.state === 'running' || job.state === 'starting' ? 'stopping' : job.state };
    case 'updated':
      return { ...next, priority: data.priority ?? job.priority, tags: data.tags ?? job.tags };
    default:
      return (STATES as string[]).includes(word)
        ? { ...next, state: word as Api.JobState, reason: data.reason ?? job.reason, ended: isFinal(word as Api.JobState) ? job.ended ?? event.time : job.ended }
        : next;
  }
}
