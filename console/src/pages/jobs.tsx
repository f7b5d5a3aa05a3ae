// jobs.tsx - the jobs of a project: filtered, of any number, live
import { useEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { call, Problem } from '../client';
import { command, curl } from '../cli';
import { duration, seconds, shortId } from '../format';
import { apply, COMPARED_MOST, isFinal, jobOf, STATES } from '../jobs';
import { may, useEvents, useNow } from '../live';
import { go, href, setQuery, useLocation } from '../route';
import { Command, Empty, State, Time, Trouble } from '../ui/parts';
import { Virtual } from '../ui/virtual';

const FIRST = 200;
const MORE = 1000;
const ROW = 34;

export interface Filter { state: Api.JobState[]; name: string; tag: string }

const queryOf = (filter: Filter) => ({
  state: filter.state.length ? filter.state : undefined,
  name: filter.name ? (filter.name.includes('*') ? filter.name : `${filter.name}*`) : undefined,
  tag: filter.tag || undefined,
});

/** Does the job still belong to the list? The server's rule, for jobs that events bring. */
export function matches(job: Api.Job, filter: Filter): boolean {
  if (filter.state.length && !filter.state.includes(job.state)) return false;
  const name = filter.name.replace(/\*$/, '');
  if (name && !job.name.startsWith(name)) return false;
  if (!filter.tag) return true;
  const [key = '', value] = filter.tag.split(/=(.*)/s);
  return key in job.tags && (value === undefined || job.tags[key] === value);
}

/** The loaded part of the list, newest first, and what events make of it. */
class Jobs {
  items: Api.Job[] = [];
  next: string | undefined;
  problem: unknown = null;
  loaded = false;
  /** Something of what is shown goes on by itself. */
  moves = false;
  /** By id: its place, counted from that of the first. New jobs come before it, so theirs are negative. */
  private places = new Map<string, number>();
  private first = 0;
  private busy = false;
  private closed = false;
  private early: Api.Event[] = [];
  private drawing = 0;

  constructor(private project: string, private filter: Filter, private draw: () => void) {}

  close(): void {
    this.closed = true;
    cancelAnimationFrame(this.drawing);
  }

  private redraw(): void {
    this.moves = this.items.some((job) => !isFinal(job.state));
    if (!this.drawing && !this.closed) this.drawing = requestAnimationFrame(() => { this.drawing = 0; this.draw(); });
  }

  private index(): void {
    this.places = new Map(this.items.map((job, place) => [job.id, place]));
    this.first = 0;
  }

  /** From the start again, keeping what is shown until it is there. */
  async reload(): Promise<void> {
    this.busy = true;
    try {
      const page = await call('job.list', { path: { project: this.project }, query: { ...queryOf(this.filter), limit: FIRST } });
      this.items = page.items;
      this.next = page.next;
      this.problem = null;
      this.index();
    } catch (reason) {
      this.problem = reason;
    }
    this.loaded = true;
    this.busy = false;
    for (const event of this.early.splice(0)) this.take(event);
    this.redraw();
  }

  async more(): Promise<void> {
    if (this.busy || !this.next) return;
    this.busy = true;
    try {
      const page = await call('job.list', { path: { project: this.project }, query: { ...queryOf(this.filter), limit: MORE, cursor: this.next } });
      for (const job of page.items) {
        this.places.set(job.id, this.first + this.items.length);
        this.items.push(job);
      }
      this.next = page.next;
      this.problem = null;
    } catch (reason) {
      this.problem = reason;
      if (reason instanceof Problem && reason.status >= 400) this.next = undefined;
    }
    this.busy = false;
    for (const event of this.early.splice(0)) this.take(event);
    this.redraw();
  }

  take(event: Api.Event): void {
    if (event.subject_kind !== 'job') return;
    if (this.busy) {
      this.early.push(event);
      return;
    }
    const found = this.places.get(event.subject);
    const place = found === undefined ? undefined : found - this.first;
    if (event.type === 'job.deleted') {
      if (place !== undefined) this.remove(place);
    } else if (place !== undefined) {
      const next = apply(this.items[place]!, event);
      if (matches(next, this.filter)) this.items[place] = next;
      else this.remove(place);
    } else if (event.type === 'job.submitted') {
      this.insert(jobOf(event));
    } else if (this.filter.state.length) {
      void this.fetch(event.subject);
    }
    this.redraw();
  }

  private insert(job: Api.Job): void {
    if (!matches(job, this.filter)) return;
    this.items.unshift(job);
    this.places.set(job.id, --this.first);
  }

  private remove(place: number): void {
    this.items.splice(place, 1);
    this.index();
  }

  /** A job that comes into the list because its state changed. */
  private async fetch(id: string): Promise<void> {
    const job = await call('job.show', { path: { project: this.project, job: id } }).catch(() => null);
    if (!job || this.closed || this.places.has(id) || !matches(job, this.filter)) return;
    const place = this.items.findIndex((other) => other.created < job.created);
    this.items.splice(place < 0 ? this.items.length : place, 0, job);
    this.index();
    this.redraw();
  }
}

const runTime = (job: Api.Job, now: number): string =>
  job.started ? duration(seconds(job.started, job.ended ?? now)) : '';

interface RowProps { job: Api.Job; index: number; project: string; at: boolean; now: number; chosen: boolean; choose: () => void }

function Row({ job, index, project, at, now, chosen, choose }: RowProps) {
  return (
    <div class={`row${at ? ' row-at' : ''}`} role="row" aria-rowindex={index + 2} style={{ height: `${ROW}px` }}>
      <span role="cell" class="col-choose"><input type="checkbox" tabIndex={at ? 0 : -1} checked={chosen} aria-label={`Choose ${job.name}`} onChange={choose} /></span>
      <span role="cell" class="col-state"><State state={job.state} /></span>
      <span role="cell" class="col-name"><a href={href('p', project, 'jobs', job.id)} tabIndex={at ? 0 : -1} data-index={index}>{job.name}</a>
        <span class="faint mono id">{shortId(job.id)}</span></span>
      <span role="cell" class="col-tags">{Object.entries(job.tags).map(([key, value]) =>
        <button key={key} class="tag" tabIndex={-1} title="Only jobs with this tag" onClick={() => setQuery({ tag: value ? `${key}=${value}` : key })}>{key}{value && `=${value}`}</button>)}</span>
      <span role="cell" class="col-note faint">{isFinal(job.state) && job.state !== 'succeeded' ? job.reason ?? (job.exit_code !== undefined ? `exit code ${job.exit_code}` : job.cause) : ''}</span>
      <span role="cell" class="col-time num">{runTime(job, now)}</span>
      <span role="cell" class="col-node faint">{job.node}</span>
      <span role="cell" class="col-created num faint"><Time time={job.created} /></span>
    </div>
  );
}

export function JobsPage({ project }: { project: string }) {
  const { query } = useLocation();
  const text = [query.get('state') ?? '', query.get('name') ?? '', query.get('tag') ?? ''];
  const filter = useMemo<Filter>(() => ({ state: text[0]!.split(',').filter((s) => (STATES as string[]).includes(s)) as Api.JobState[], name: text[1]!, tag: text[2]! }), text);
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const [at, setAt] = useReducer((_: number, next: number) => next, 0);
  const [chosen, setChosen] = useState<string[]>([]);
  const choose = (id: string) => setChosen((old) => old.includes(id) ? old.filter((other) => other !== id) : [...old, id].slice(-COMPARED_MOST));
  const box = useRef<HTMLDivElement>(null);
  const jobs = useMemo(() => new Jobs(project, filter, () => draw(undefined as never)), [project, filter]);
  const listener = useMemo(() => ({ event: (event: Api.Event) => jobs.take(event), open: () => void jobs.reload() }), [jobs]);
  useEvents(project, listener);
  useEffect(() => () => jobs.close(), [jobs]);
  const now = useNow(jobs.moves);
  const onSpan = useMemo(() => (_: number, last: number) => { if (last > jobs.items.length - FIRST / 2) void jobs.more(); }, [jobs, jobs.items.length]);

  const move = (event: KeyboardEvent) => {
    const rows = Math.max(1, Math.floor((box.current?.clientHeight ?? ROW) / ROW) - 1);
    const steps: Record<string, number> = { ArrowDown: 1, ArrowUp: -1, PageDown: rows, PageUp: -rows, Home: -Infinity, End: Infinity, j: 1, k: -1 };
    if (event.key === 'Enter' && (event.target as Element).role !== 'grid') return;
    if (event.key === 'Enter' && jobs.items[at]) return go(href('p', project, 'jobs', jobs.items[at]!.id));
    const step = steps[event.key];
    if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const next = Math.max(0, Math.min(jobs.items.length - 1, at + step));
    setAt(next);
    const element = box.current!;
    if (next * ROW < element.scrollTop) element.scrollTop = next * ROW;
    else if ((next + 1) * ROW > element.scrollTop + element.clientHeight) element.scrollTop = (next + 1) * ROW - element.clientHeight;
    requestAnimationFrame(() => element.querySelector<HTMLElement>(`a[data-index="${next}"]`)?.focus({ preventScroll: true }));
  };
  const toggle = (state: Api.JobState) => {
    const states = filter.state.includes(state) ? filter.state.filter((s) => s !== state) : [...filter.state, state];
    setQuery({ state: states.join(',') });
  };
  const input = { path: { project }, query: queryOf(filter) };
  const flags = [...(filter.state.length ? ['--state', filter.state.join(',')] : []), ...(filter.name ? ['--name', input.query.name!] : []), ...(filter.tag ? ['--tag', filter.tag] : [])];
  return (
    <div class="page page-full">
      <header class="page-head">
        <h1>Jobs</h1>
        <Command behind={() => ({ cli: command('job.list', { project }, flags), curl: curl('job.list', input) })} />
        {chosen.length > 0 && <a class="button" href={`${href('p', project, 'compare')}?jobs=${chosen.join(',')}`}>Compare {chosen.length} {chosen.length === 1 ? 'job' : 'jobs'}</a>}
        {may('member') && <a class="button primary" href={href('p', project, 'new-job')}>New job</a>}
      </header>
      <div class="bar" role="search">
        <div class="chips" role="group" aria-label="States">
          {STATES.filter((state) => state !== 'submitted').map((state) =>
            <button key={state} class="chip" aria-pressed={filter.state.includes(state)} onClick={() => toggle(state)}><i class={`dot state-${state}`} aria-hidden="true" />{state}</button>)}
        </div>
        <span class="spring" />
        <input type="search" aria-label="Name begins with" placeholder="Name" value={filter.name} onInput={(e) => setQuery({ name: e.currentTarget.value.trim() })} />
        <input type="search" aria-label="Tag, KEY or KEY=VALUE" placeholder="Tag: KEY or KEY=VALUE" value={filter.tag} onChange={(e) => setQuery({ tag: e.currentTarget.value.trim() })} />
      </div>
      {jobs.problem ? <Trouble reason={jobs.problem} again={() => void jobs.reload()} /> : null}
      <div class="table jobs" role="grid" aria-label="Jobs" aria-rowcount={jobs.next ? -1 : jobs.items.length + 1} onKeyDown={move}>
        <div role="rowgroup">
          <div class="row row-head" role="row" aria-rowindex={1}>
            <span role="columnheader" class="col-choose"><span class="hidden">Chosen</span></span><span role="columnheader" class="col-state">State</span><span role="columnheader" class="col-name">Name</span>
            <span role="columnheader" class="col-tags">Tags</span><span role="columnheader" class="col-note">Note</span>
            <span role="columnheader" class="col-time num">Time</span><span role="columnheader" class="col-node">Node</span>
            <span role="columnheader" class="col-created num">Submitted</span>
          </div>
        </div>
        {jobs.loaded && !jobs.problem && jobs.items.length === 0
          ? <Empty title={flags.length ? 'No job is like this' : 'No jobs yet'}>{!flags.length && <p>Submit one here, or by <code>berth run -- COMMAND</code>.</p>}</Empty>
          : <Virtual box={box} count={jobs.items.length} rowHeight={ROW} onSpan={onSpan} attributes={{ role: 'rowgroup' }}
              row={(i) => <Row key={jobs.items[i]!.id} job={jobs.items[i]!} index={i} project={project} at={i === at} now={now}
                chosen={chosen.includes(jobs.items[i]!.id)} choose={() => choose(jobs.items[i]!.id)} />} />}
      </div>
    </div>
  );
}
