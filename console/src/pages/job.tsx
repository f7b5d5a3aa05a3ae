// job.tsx - one job: where it stands and why, its log, its hardware
import type { ComponentChildren } from 'preact';
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { call, Problem } from '../client';
import { command, commandText, curl } from '../cli';
import { duration, moment, plural } from '../format';
import { apply, isFinal } from '../jobs';
import { may, useEvents, useNow } from '../live';
import { go, href, setQuery, useLocation } from '../route';
import { Command, Dialog, Fact, Facts, note, Panel, State, Tabs, textOf, Time, Trouble } from '../ui/parts';
import type ShellType from '../ui/shell';
import { Artifacts } from '../ui/artifacts';
import { Attempts } from '../ui/attempts';
import { ChartBoard } from '../ui/chart-board';
import { HardwareBoard } from '../ui/hardware';
import { LogView } from '../ui/log-view';
import { Before, Changes } from '../ui/waiting';
import { rankFlags, rankOf, Ranks, type Task } from '../ui/ranks';

type Spec = Partial<Api.JobRequest>;

/** What of an event concerns the reasons and attempts, not only the state. */
const isTurn = (event: Api.Event): boolean => !['job.updated'].includes(event.type);

function useJob(project: string, id: string) {
  const [job, setJob] = useState<Api.Job | null>(null);
  const [why, setWhy] = useState<Api.Why | null>(null);
  const [problem, setProblem] = useState<unknown>(null);
  const path = useMemo(() => ({ project, job: id }), [project, id]);
  const known = useRef(id); // the address may hold its name
  const load = useCallback(async () => {
    try {
      const [shown, reason] = await Promise.all([call('job.show', { path }), call('job.why', { path })]);
      known.current = shown.id;
      setJob(shown);
      setWhy(reason);
      setProblem(null);
    } catch (trouble) {
      setProblem(trouble);
    }
  }, [path]);
  const listener = useMemo(() => ({
    event: (event: Api.Event) => {
      if (event.subject !== known.current) return;
      if (event.type === 'job.deleted') return setProblem(new Problem(404, 'the job was deleted'));
      setJob((old) => old && apply(old, event));
      if (isTurn(event)) void load();
    },
    open: () => void load(),
  }), [id, load]);
  useEvents(project, listener);
  useEffect(() => { setJob(null); setWhy(null); setProblem(null); }, [id]);
  // What a job waits for, and what limits it, change without an event of their own.
  const moves = job?.state === 'queued' || job?.state === 'running';
  useEffect(() => {
    if (!moves) return;
    const timer = setInterval(() => { if (!document.hidden) void call('job.why', { path }).then(setWhy, () => {}); }, 5000);
    return () => clearInterval(timer);
  }, [moves, path]);
  return { job, why, problem, load, path };
}

/** How long the job was in each state, as a line. */
function Timeline({ job, now }: { job: Api.Job; now: number }) {
  const attempt = job.attempt;
  const end = job.ended && isFinal(job.state) ? Date.parse(job.ended) : now;
  const marks: [string, string | undefined][] = [['queued', job.created], ['starting', attempt?.created], ['running', job.started]];
  const spans = marks.filter(([, from]) => from).map(([name, from], i, all) =>
    ({ name, seconds: Math.max(0, ((i + 1 < all.length ? Date.parse(all[i + 1]![1]!) : end) - Date.parse(from!)) / 1000) }));
  return (
    <ol class="timeline" aria-label="States so far">
      {spans.map((span) => (
        <li key={span.name} class={`span state-${span.name}`} style={{ flexGrow: Math.max(0.001, span.seconds) }}>
          <span class="span-bar" /><span class="span-name">{span.name} <b>{duration(span.seconds)}</b></span>
        </li>
      ))}
      <li class={`span span-end state-${job.state}`}><State state={job.state} /></li>
    </ol>
  );
}

function Why({ project, job, why }: { project: string; job: Api.Job; why: Api.Why | null }) {
  if (!why || job.state === 'succeeded') return null;
  return (
    <div class={`why why-${job.state}`} role="status">
      <p><strong>{job.state === 'queued' ? 'Why it waits' : 'Why'}</strong> {why.text}
      {why.position !== undefined && <span class="faint"> · place {why.position + 1} in the queue</span>}
      {why.limit && why.limit.rule !== 'unknown' ? <span> · {why.limit.text}<span class="faint"> · rule <code>{why.limit.rule}</code></span></span>
        : <span class="faint"> · rule <code>{why.rule}</code></span>}</p>
      {why.eta && <p><span class="faint">It begins </span>{why.eta.text}</p>}
      {why.before && <Before project={project} before={why.before} />}
      {why.changes && <Changes changes={why.changes} />}
    </div>
  );
}

function Stop({ path, onDone }: { path: { project: string; job: string }; onDone: () => void }) {
  const [open, setOpen] = useState(false);
  const [grace, setGrace] = useState('');
  const input = { path, body: grace === '' ? {} : { grace } };
  const stop = async () => {
    setOpen(false);
    try {
      await call('job.stop', input);
      note('stopping');
      onDone();
    } catch (reason) {
      note(textOf(reason), true);
    }
  };
  return (
    <>
      <button class="danger" onClick={() => setOpen(true)}>Stop…</button>
      {open && (
        <Dialog title="Stop the job?" onClose={() => setOpen(false)}>
          <p>It gets SIGTERM and, after the grace period, SIGKILL. What it left in <code>/artifacts</code> is kept.</p>
          <label class="field">Grace period <input value={grace} placeholder="the job's own" onInput={(e) => setGrace(e.currentTarget.value.trim())} /></label>
          <footer>
            <Command behind={() => ({ cli: command('job.stop', path, grace ? ['--grace', grace] : []), curl: curl('job.stop', input) })} />
            <span class="spring" />
            <button onClick={() => setOpen(false)}>Keep it running</button>
            <button class="danger" autofocus onClick={() => void stop()}>Stop it</button>
          </footer>
        </Dialog>
      )}
    </>
  );
}

function Delete({ path, project }: { path: { project: string; job: string }; project: string }) {
  const [open, setOpen] = useState(false);
  const remove = async () => {
    try {
      await call('job.delete', { path });
      note('deleted');
      go(href('p', project, 'jobs'));
    } catch (reason) {
      note(textOf(reason), true);
      setOpen(false);
    }
  };
  return (
    <>
      <button onClick={() => setOpen(true)}>Delete…</button>
      {open && (
        <Dialog title="Delete the job?" onClose={() => setOpen(false)}>
          <p>Its log, charts, artifacts and record are gone then.</p>
          <footer>
            <Command behind={() => ({ cli: command('job.delete', path), curl: curl('job.delete', { path }) })} />
            <span class="spring" /><button onClick={() => setOpen(false)}>Keep it</button>
            <button class="danger" autofocus onClick={() => void remove()}>Delete it</button>
          </footer>
        </Dialog>
      )}
    </>
  );
}

/** The same again, of the record: nothing is asked that was recorded. */
function Rerun({ path, job }: { path: { project: string; job: string }; job: Api.Job }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState('');
  const [trouble, setTrouble] = useState('');
  const input = { path, body: name ? { name } : {} };
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    try {
      const made = await call('job.rerun', input);
      setOpen(false);
      note(`${made.name} is submitted`);
      go(href('p', path.project, 'jobs', made.id));
    } catch (reason) {
      setTrouble(textOf(reason));
    }
  };
  return (
    <>
      <button onClick={() => { setTrouble(''); setOpen(true); }}>Run again…</button>
      {open && (
        <Dialog title="Run it again?" onClose={() => setOpen(false)}>
          <form onSubmit={(e) => void submit(e)}>
            <p>From its record: the same files, commit, image, data, environment and hardware shape. To change more than the name, take <a href={`${href('p', path.project, 'new-job')}?from=${path.job}`}>the form</a>.</p>
            <label class="field">Name <input value={name} placeholder={job.name} spellcheck={false} onInput={(e) => setName(e.currentTarget.value.trim())} /></label>
            {trouble && <p class="trouble" role="alert">{trouble}</p>}
            <footer>
              <Command behind={() => ({ cli: command('job.rerun', path, ['--detach', ...(name ? ['--name', name] : [])]), curl: curl('job.rerun', input) })} />
              <span class="spring" /><button type="button" onClick={() => setOpen(false)}>Cancel</button><button class="primary" autofocus>Run again</button>
            </footer>
          </form>
        </Dialog>
      )}
    </>
  );
}

function Specification({ job }: { job: Api.Job }) {
  const spec = (job.spec ?? {}) as Spec;
  const record = (job.attempt?.record ?? {}) as { image_digest?: string };
  const git = spec.source?.git;
  return (
    <Facts>
      <Fact name="Command"><code class="wrap">{commandText(spec.command)}</code></Fact>
      <Fact name="Image"><code>{spec.image}</code>{record.image_digest && <span class="faint mono digest" title={record.image_digest}> {record.image_digest.slice(0, 12)}</span>}</Fact>
      <Fact name="Source">{git ? <code>{git.url} {git.ref}</code> : spec.source?.workspace ? <code title={spec.source.workspace}>workspace {spec.source.workspace.slice(0, 12)}</code> : undefined}</Fact>
      <Fact name="Flavor">{spec.flavor}</Fact>
      <Fact name="Cores">{!spec.flavor && spec.cpus}</Fact>
      <Fact name="Nodes">{spec.nodes}</Fact>
      <Fact name="Tasks a node">{spec.tasks_per_node}</Fact>
      <Fact name="Roles">{spec.roles?.map((role) => <div key={role.name}><code>{role.name}</code>{(role.count ?? 1) > 1 && ` × ${role.count}`}</div>)}</Fact>
      <Fact name="Environment">{spec.env && Object.entries(spec.env).map(([name, value]) => <div key={name}><code class="wrap">{name}={String(value)}</code></div>)}</Fact>
      <Fact name="Ports">{spec.ports?.map((port) => <div key={port.name}><code>{port.name}: {port.port}</code></div>)}</Fact>
      <Fact name="Priority">{job.priority || undefined}</Fact>
      <Fact name="At most">{spec.max_time !== undefined && duration(Number(spec.max_time))}</Fact>
      <Fact name="Retries">{spec.retries?.max}</Fact>
      <Fact name="Network">{spec.network}</Fact>
      <Fact name="Tags">{Object.keys(job.tags).length > 0 && Object.entries(job.tags).map(([key, value]) => <span key={key} class="tag">{key}{value && `=${value}`}</span>)}</Fact>
      <Fact name="Submitted">{moment(job.created)}</Fact>
      <Fact name="Started">{job.started && moment(job.started)}</Fact>
      <Fact name="Ended">{isFinal(job.state) && job.ended && moment(job.ended)}</Fact>
      <Fact name="Id"><code>{job.id}</code></Fact>
    </Facts>
  );
}

/** The terminal comes when it is first opened. */
function LaterShell({ path }: { path: { project: string; job: string } }) {
  const [Shell, set] = useState<typeof ShellType | null>(null);
  useEffect(() => { void import('../ui/shell').then((module) => set(() => module.default)); }, []);
  return Shell && <Shell path={path} />;
}

type Used = { dataset?: string; version?: number; manifest?: string };

const Datasets = ({ project, used }: { project: string; used: Used[] }) => (
  <>{used.map((one) => <div key={`${one.dataset}@${one.version}`}><a href={href('p', project, 'datasets', one.dataset ?? '')}><code>{one.dataset}@{one.version}</code></a>
    <span class="faint mono digest" title={one.manifest}> {one.manifest?.slice(0, 12)}</span></div>)}</>
);

const Card = ({ title, children }: { title: string; children: ComponentChildren }) =>
  <section class="card"><h2>{title}</h2>{children}</section>;

const NO_TASKS: Task[] = [];

export function JobPage({ project, id }: { project: string; id: string }) {
  const { job, why, problem, load, path } = useJob(project, id);
  const { query } = useLocation();
  const live = !!job && !isFinal(job.state);
  const now = useNow(live, 250);
  if (problem && !job) return <div class="page"><Trouble reason={problem} again={() => void load()} /></div>;
  if (!job) return <div class="page" aria-busy="true" />;
  const inputs = (job.inputs ?? []) as unknown as Used[];
  const outputs = (job.outputs ?? []) as unknown as Used[];
  const left = (job.attempt?.artifacts ?? {}) as { count?: number };
  const ranks = (job.attempt?.tasks?.length ?? 0) > 1 ? job.attempt!.tasks! : NO_TASKS;
  const mpi = !!(job.spec as Spec | undefined)?.mpi;
  const heard = mpi ? NO_TASKS : ranks; // mpirun brings what all ranks print to the first
  const rank = rankOf(query, heard);
  const tabs = [{ id: 'log', name: 'Log' }, ...(ranks.length ? [{ id: 'ranks', name: 'Ranks', mark: ranks.length }] : []), { id: 'charts', name: 'Charts' }, ...(job.attempt?.allocation ? [{ id: 'hardware', name: 'Hardware' }] : []), { id: 'artifacts', name: 'Artifacts', mark: left.count },
    ...(job.state === 'running' && may('member') ? [{ id: 'shell', name: 'Shell' }] : []),
    { id: 'attempts', name: 'Attempts', mark: (job.attempts ?? 0) > 1 ? job.attempts : undefined }, { id: 'details', name: 'Details' }];
  const at = tabs.some((tab) => tab.id === query.get('tab')) ? query.get('tab')! : 'log';
  return (
    <div class="page page-full">
      <header class="page-head">
        <h1><a class="crumb" href={href('p', project, 'jobs')}>Jobs</a><span class="faint"> / </span>{job.name}</h1>
        <span class="faint">{job.ended && isFinal(job.state) ? <>ended <Time time={job.ended} /></> : <>submitted <Time time={job.created} /></>}
          {(job.attempts ?? 0) > 1 && ` · attempt ${job.attempts}`}{job.preemptions !== undefined && ` · preempted ${plural(job.preemptions, 'time')}`}{job.exit_code !== undefined && isFinal(job.state) && ` · exit code ${job.exit_code}`}</span>
        <span class="spring" />
        <Command behind={() => ({ cli: command('job.show', path), curl: curl('job.show', { path }) })} />
        {may('member') && <a class="button" href={`${href('p', project, 'new-job')}?from=${id}`} title="The form, filled in as this job was">Submit like this</a>}
        {may('member') && job.attempt && <Rerun path={path} job={job} />}
        {!live && may('member') && <Delete path={path} project={project} />}
        {live && may('member') && <Stop path={path} onDone={() => void load()} />}
      </header>
      {problem ? <Trouble reason={problem} again={() => void load()} /> : null}
      <Timeline job={job} now={now} />
      <Why project={project} job={job} why={why} />
      <Tabs tabs={tabs} at={at} label="Parts of the job" onChange={(tab) => setQuery({ tab: tab === 'log' ? '' : tab })} />
      <Panel id={at}>
        {at === 'log' && <LogView path={path} live={live} tasks={heard} />}
        {at === 'ranks' && <Ranks path={path} attempt={job.attempt!} version={job.version} live={live} log={!mpi} />}
        {at === 'charts' && <ChartBoard project={project} jobs={[{ id, name: job.name }]} live={live} tasks={heard} extra={<>
          <Command behind={() => ({ cli: command('chart.list', path, heard.length && rank === undefined ? ['--rank', 'all'] : rankFlags(rank)),
            curl: curl('chart.list', { path, query: { rank, merged: heard.length && rank === undefined ? true : undefined } }) })} />
          <a class="button" href={`${href('p', project, 'compare')}?jobs=${id}`}>Compare…</a></>} />}
        {at === 'hardware' && <HardwareBoard path={path} job={job} tasks={ranks} />}
        {at === 'artifacts' && <Artifacts path={path} live={live} />}
        {at === 'shell' && <LaterShell path={path} />}
        {at === 'attempts' && <Attempts path={path} version={job.version} mpi={mpi} />}
        {at === 'details' && <div class="cards"><Card title="What was asked for"><Specification job={job} /></Card>
          {(inputs.length > 0 || outputs.length > 0) && <Card title="Inputs and outputs"><Facts>
            <Fact name="Read">{inputs.length > 0 && <Datasets project={project} used={inputs} />}</Fact>
            <Fact name="Wrote">{outputs.length > 0 && <Datasets project={project} used={outputs} />}</Fact></Facts></Card>}</div>}
      </Panel>
    </div>
  );
}
