// new-job.tsx - a form for a job, made of its declaration, with the command that says the same
import { useEffect, useMemo, useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { bodies, types } from '#declared/requests';
import { call, Problem } from '../client';
import { command, curl } from '../cli';
import { bodyOf, flagsOf, valuesOf, type Values } from '../form';
import { useLoad } from '../load';
import { go, href, useLocation } from '../route';
import { copy, note, textOf } from '../ui/parts';
import { Fields } from '../ui/form-fields';
import { Before, Changes } from '../ui/waiting';

const declared = types[bodies['job.create']!]!;
/** What most jobs say; everything else is one click away. */
const USUAL = ['command', 'name', 'image', 'source', 'flavor', 'cpus', 'memory', 'gpus', 'datasets', 'env', 'tags'];
const OTHERS = Object.keys(declared.fields!).filter((name) => !USUAL.includes(name));

type Body = Api.JobRequest;

/** An image may have a command of its own; the server knows. */
const hasWork = (body: Body): boolean => !!body.command?.length || (!!body.image && body.image !== 'host');

/** `berth run` sends the directory one is in unless it is told otherwise. */
export function runCommand(project: string, body: Record<string, unknown>): string {
  const flags = flagsOf(declared, types, body);
  if (!body.source) flags.push('--source', 'none');
  const words = Array.isArray(body.command) ? body.command.map(String) : body.command ? ['/bin/sh', '-c', String(body.command)] : [];
  return command('job.create', { project }, ['--detach', ...flags, ...(words.length ? ['--', ...words] : [])]);
}

/** Asks the server what a submit would do, when nothing was typed for a moment. */
function usePlan(project: string, body: Body): { plan: Api.JobPlan | null; wrong: { field: string; text: string } | null } {
  const [state, set] = useState<{ plan: Api.JobPlan | null; wrong: { field: string; text: string } | null }>({ plan: null, wrong: null });
  const text = JSON.stringify(body);
  useEffect(() => {
    if (!hasWork(body)) return set({ plan: null, wrong: null });
    const end = new AbortController();
    const timer = setTimeout(() => {
      call('job.plan', { path: { project }, body, signal: end.signal }).then(
        (plan) => set({ plan, wrong: null }),
        (reason: unknown) => {
          if (reason instanceof Problem) set({ plan: null, wrong: { field: reason.field, text: reason.message } });
        });
    }, 300);
    return () => { clearTimeout(timer); end.abort(); };
  }, [text, project]);
  return state;
}

type Mount = { name: string; version?: number; path?: string };

/** What was asked for, of what was made of it: datasets are named as one types them. */
function requestOf(spec: Record<string, unknown>): Record<string, unknown> {
  const words = (mounts: unknown) => (mounts as Mount[] | undefined)?.map((mount) =>
    [mount.version ? `${mount.name}@${mount.version}` : mount.name, mount.path].filter(Boolean).join(':'));
  return { ...spec, datasets: words(spec.datasets), output_datasets: words(spec.output_datasets) };
}

/** The job that another one was, to change and submit again. */
function useModel(project: string, from: string, given: Values): Values | undefined {
  const { data, problem } = useLoad(async () => {
    if (!from) return given;
    const job = await call('job.show', { path: { project, job: from } });
    const spec = requestOf(job.spec as Record<string, unknown>);
    if (spec.flavor) for (const made of ['cpus', 'memory', 'disk', 'gpus', 'gpu_model']) delete spec[made];
    return valuesOf(declared, types, { ...spec, name: job.name, tags: job.tags });
  }, `${project} ${from}`);
  return data ?? (problem ? {} : undefined);
}

function Form({ project, model }: { project: string; model: Values }) {
  const [values, setValues] = useState(model);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<{ field: string; text: string } | null>(null);
  const flavors = useLoad(() => call('flavor.list'), 'flavors');
  const body = useMemo(() => bodyOf(declared, types, values) as Body, [values]);
  const { plan, wrong } = usePlan(project, body);
  const shown = wrong ?? refused;
  const choices = flavors.data?.items.length ? { flavor: flavors.data.items.map((flavor) => flavor.name) } : undefined;
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    setBusy(true);
    try {
      const job = await call('job.create', { path: { project }, body });
      note(`${job.name} is submitted`);
      go(href('p', project, 'jobs', job.id));
    } catch (reason) {
      setRefused({ field: reason instanceof Problem ? reason.field : '', text: textOf(reason) });
      setBusy(false);
    }
  };
  const change = (patch: Record<string, unknown>) => setValues(valuesOf(declared, types, { ...(body as Record<string, unknown>), ...patch }));
  const part = (names: string[]) => (
    <Fields fields={declared.fields!} types={types} values={values} onChange={(next) => { setValues(next); setRefused(null); }} wrong={shown} choices={choices} only={names} />
  );
  const lines: [string, string][] = [['Command line', runCommand(project, body as Record<string, unknown>)], ['API', curl('job.create', { path: { project }, body })]];
  return (
    <form class="new-job" onSubmit={(e) => void submit(e)}>
      <div class="card form">
        {part(USUAL)}
        <details><summary>More settings</summary>{part(OTHERS)}</details>
      </div>
      <aside class="beside">
        <div class="card">
          <h2>What would happen</h2>
          <p role="status" class={shown ? 'help bad' : ''}>{shown ? shown.text : plan ? sayPlan(plan) : <span class="faint">Give a command.</span>}</p>
          {!shown && plan?.placement.eta && <p class="faint">It begins {plan.placement.eta.text}.</p>}
          {!shown && plan?.placement.before && <Before project={project} before={plan.placement.before} />}
          {!shown && plan?.placement.changes && <Changes changes={plan.placement.changes} use={change} />}
          <button class="primary" disabled={busy || !hasWork(body)}>{busy ? 'Submitting…' : 'Submit'}</button>
        </div>
        {lines.map(([title, line]) => (
          <div class="card snippet" key={title}>
            <div class="snippet-head"><h2>{title}</h2><button type="button" onClick={() => void copy(line)}>Copy</button></div>
            <pre tabIndex={0} data-snippet={title}>{line}</pre>
          </div>
        ))}
      </aside>
    </form>
  );
}

function sayPlan({ placement }: Api.JobPlan): string {
  const at = placement.allocation;
  if (at) return `It starts at once on ${at.node}, CPUs ${at.cpus}.`;
  return `It is accepted and waits: ${placement.text}.`;
}

export function NewJobPage({ project }: { project: string }) {
  const { query } = useLocation();
  const from = query.get('from') ?? '';
  const given: Values = {};
  if (query.get('image')) given.image = query.get('image')!;
  if (query.get('dataset')) given.datasets = [query.get('dataset')!];
  const model = useModel(project, from, given);
  return (
    <div class="page">
      <header class="page-head"><h1><a class="crumb" href={href('p', project, 'jobs')}>Jobs</a><span class="faint"> / </span>New job</h1></header>
      {model && <Form key={from} project={project} model={model} />}
    </div>
  );
}
