// machines.tsx - the machines, what of each is taken, and by which job
import type * as Api from '#declared/api';
import { call } from '../client';
import { command, curl } from '../cli';
import { bytes, figure, plural } from '../format';
import { isFinal } from '../jobs';
import { useChanges, useLoad } from '../load';
import { href } from '../route';
import { Command, Fact, Facts, Trouble } from '../ui/parts';

interface Core { id: number; socket?: number; numa?: number; cpus: string }
interface Gpu { uuid?: string; model?: string; memory?: number; minor?: number; numa?: number }
interface Use { tasks?: number; cores?: number; cpus?: string; cpus_shared?: string; memory?: number; disk?: number; gpus?: string[]; gpu_parts?: Record<string, number> }

/** "0-3,8" as numbers. */
export function cpuSet(text: string | undefined): Set<number> {
  const set = new Set<number>();
  for (const part of (text ?? '').split(',').filter(Boolean)) {
    const [first = 0, last = first] = part.split('-').map(Number);
    for (let cpu = first; cpu <= last && cpu < 65_536; cpu++) set.add(cpu);
  }
  return set;
}

function Bar({ name, used, total, reserved }: { name: string; used: number; total: number; reserved: number }) {
  const part = (n: number) => `${Math.min(100, 100 * n / Math.max(1, total))}%`;
  return (
    <div class="meter">
      <div class="meter-head"><span>{name}</span><span class="faint num">{bytes(used)} of {bytes(total)} given out</span></div>
      <div class="meter-bar" role="meter" aria-label={name} aria-valuemin={0} aria-valuemax={total} aria-valuenow={used} aria-valuetext={`${bytes(used)} of ${bytes(total)}`}>
        <span class="meter-used" style={{ width: part(used) }} /><span class="meter-kept" style={{ width: part(reserved) }} title={`${bytes(reserved)} kept for the host`} />
      </div>
    </div>
  );
}

function Cores({ cores, use, holders }: { cores: Core[]; use: Use; holders: Map<number, Api.Job> }) {
  const taken = cpuSet(use.cpus);
  const shared = cpuSet(use.cpus_shared);
  return (
    <ul class="cores" aria-label="Cores">
      {cores.map((core) => {
        const first = [...cpuSet(core.cpus)][0] ?? core.id;
        const holder = holders.get(first);
        const state = shared.has(first) ? 'shared' : taken.has(first) ? 'taken' : 'free';
        const title = `core ${core.id}, CPUs ${core.cpus}${core.numa === undefined ? '' : `, NUMA node ${core.numa}`}: ${holder ? holder.name : state}`;
        const face = <><b>{core.id}</b><span>{holder?.name ?? state}</span></>;
        return <li key={core.id} class={`core core-${state}`} title={title}>
          {holder ? <a href={href('p', holder.project, 'jobs', holder.id)}>{face}</a> : face}</li>;
      })}
    </ul>
  );
}

/** What is busy now, of what there is. */
function Meter({ name, part, text }: { name: string; part: number; text: string }) {
  return (
    <div class="meter">
      <div class="meter-head"><span>{name}</span><span class="faint num">{text}</span></div>
      <div class="meter-bar" role="meter" aria-label={name} aria-valuemin={0} aria-valuemax={100} aria-valuenow={Math.round(100 * part)} aria-valuetext={text}>
        <span class="meter-used" style={{ width: `${Math.min(100, 100 * part)}%` }} /></div>
    </div>
  );
}

const share = (part: number | undefined): string => part === undefined ? '' : `${Math.round(100 * part)} %`;
const speed = (rate: number | undefined): string => rate ? `${bytes(rate)}/s` : '–';

function Now({ top }: { top: Api.TopNode }) {
  const now = top.now;
  if (!now) return null;
  return (
    <div class="meters">
      <Meter name="Cores, now" part={now.cores / Math.max(1, top.cores)} text={`${figure(Number(now.cores.toFixed(2)))} of ${top.cores} busy`} />
      <Meter name="Memory, now" part={now.memory / Math.max(1, top.memory)} text={`${bytes(now.memory)} of ${bytes(top.memory)} in use`} />
      {now.gpus?.map((gpu, i) => <Meter key={gpu.uuid ?? i} name={`GPU ${i}, now`} part={gpu.busy ?? 0} text={[share(gpu.busy), gpu.memory !== undefined && bytes(gpu.memory), gpu.power !== undefined && `${Math.round(gpu.power)} W`, gpu.temperature !== undefined && `${gpu.temperature} °C`].filter(Boolean).join(', ')} />)}
    </div>
  );
}

/** Running jobs of the project, by what they use. */
function Busy({ project, jobs }: { project: string; jobs: Api.TopJob[] }) {
  const input = { path: { project } };
  const gpuOf = (job: Api.TopJob) => job.now?.gpus?.length ? share(job.now.gpus.reduce((sum, gpu) => sum + (gpu.busy ?? 0), 0) / job.now.gpus.length) : '–';
  return (
    <section class="card">
      <div class="card-head"><h2>Running jobs of {project}</h2><span class="spring" /><Command behind={() => ({ cli: command('top.show', input.path), curl: curl('top.show', input) })} /></div>
      {jobs.length === 0 ? <p class="faint">None.</p> : (
        <div class="wide-table" tabIndex={0} role="region" aria-label="Running jobs"><table class="plain-table"><thead><tr><th>Name</th><th class="num">Cores</th><th class="num">Memory</th><th class="num">Read</th><th class="num">Written</th><th class="num">GPU</th><th>What limits it</th></tr></thead>
          <tbody>{[...jobs].sort((a, b) => (b.now?.cores ?? 0) - (a.now?.cores ?? 0)).map((job) => (
            <tr key={job.id}><td class="col-name"><a href={`${href('p', project, 'jobs', job.id)}?tab=hardware`}>{job.name}</a></td>
              <td class="num">{job.now ? job.now.cores.toFixed(2) : '–'}<span class="faint"> of {job.cores}</span></td>
              <td class="num">{job.now ? bytes(job.now.memory) : '–'}<span class="faint"> of {bytes(job.memory)}</span></td>
              <td class="num">{speed(job.now?.read)}</td><td class="num">{speed(job.now?.write)}</td><td class="num">{gpuOf(job)}</td><td class="wrap">{job.limit?.text}</td></tr>))}</tbody></table></div>)}
    </section>
  );
}

/** What lies between its GPUs and NICs, as `nvidia-smi topo -m` has it. */
function Paths({ node, gpus }: { node: Api.Node; gpus: Gpu[] }) {
  const paths = (node.gpu_paths ?? []) as unknown as string[][];
  const nicPaths = (node.nic_paths ?? []) as unknown as string[][];
  const nics = ((node.nics ?? []) as unknown as { name: string }[]).slice(0, nicPaths[0]?.length ?? 0);
  if (paths.length === 0) return null;
  return (
    <div class="wide-table" tabIndex={0} role="region" aria-label={`Paths between the GPUs of ${node.name}`}><table class="plain-table paths">
      <thead><tr><th />{paths.map((_, i) => <th key={i} scope="col">GPU {i}</th>)}{nics.map((nic) => <th key={nic.name} scope="col">{nic.name}</th>)}<th class="num" scope="col">NUMA node</th></tr></thead>
      <tbody>{paths.map((row, i) => <tr key={i}><td class="faint">GPU {i}</td>
        {[...row, ...(nicPaths[i] ?? [])].map((path, k) => <td key={k} class={path === 'X' ? 'faint' : undefined}>{path}</td>)}
        <td class="num">{gpus[i]?.numa === undefined || gpus[i].numa < 0 ? '–' : gpus[i].numa}</td></tr>)}</tbody></table>
      <p class="faint">PIX: one PCIe switch between them; PXB: several; PHB: the host bridge; NODE: one NUMA node; SYS: beyond.</p></div>
  );
}

function Machine({ node, holders, top }: { node: Api.Node; holders: Map<number, Api.Job>; top: Api.TopNode | undefined }) {
  const use = (node.use ?? {}) as Use;
  const cores = (node.cores ?? []) as unknown as Core[];
  const gpus = (node.gpus ?? []) as unknown as Gpu[];
  return (
    <section class="card machine">
      <header class="card-head"><h2 class="big">{node.name}</h2>{node.cordoned && <span class="state state-queued"><i aria-hidden="true" />takes no new work</span>}
        <span class="spring" /><span class="faint">{plural(use.tasks ?? 0, 'task')}</span></header>
      <div class="cards">
        <Facts>
          <Fact name="Processor">{node.cpu_model}</Fact>
          <Fact name="Cores">{cores.length}{use.cores !== undefined && <span class="faint"> · {use.cores} given out</span>}</Fact>
          <Fact name="NUMA nodes">{node.numas?.length}</Fact>
          <Fact name="Kernel">{node.kernel && <code>{node.kernel}</code>}</Fact>
          <Fact name="GPU driver">{node.driver && <code>{node.driver}</code>}</Fact>
        </Facts>
        <div class="meters">
          <Bar name="Memory" used={use.memory ?? 0} total={node.memory} reserved={node.reserved_memory ?? 0} />
          {node.disk !== undefined && <Bar name="Disk" used={use.disk ?? 0} total={node.disk} reserved={node.reserved_disk ?? 0} />}
        </div>
        {top && <Now top={top} />}
      </div>
      <Cores cores={cores} use={use} holders={holders} />
      {gpus.length > 0 && <ul class="gpus" aria-label="GPUs">{gpus.map((gpu, i) =>
        <li key={gpu.uuid ?? i} class={`core core-${gpu.uuid && use.gpus?.includes(gpu.uuid) ? 'taken' : 'free'}`} title={gpu.uuid}>
          <b>GPU {i}</b><span>{gpu.model}{gpu.memory ? `, ${bytes(gpu.memory)}` : ''}{gpu.uuid && use.gpu_parts?.[gpu.uuid] ? `, ${use.gpu_parts[gpu.uuid]} of it given out` : ''}</span></li>)}</ul>}
      <Paths node={node} gpus={gpus} />
    </section>
  );
}

export function MachinesPage({ project }: { project: string }) {
  const nodes = useLoad(() => call('node.list'), 'nodes');
  const flavors = useLoad(() => call('flavor.list'), 'flavors');
  // Which job of this project holds which core; those of others are taken, no more.
  const running = useLoad(async () => {
    if (!project) return [];
    const { items } = await call('job.list', { path: { project }, query: { state: ['starting', 'running', 'stopping'], limit: 200 } });
    return Promise.all(items.map((job) => call('job.show', { path: { project, job: job.id } }).catch(() => job)));
  }, project);
  const top = useLoad(() => project ? call('top.show', { path: { project } }) : Promise.resolve({ jobs: [], nodes: [] }), project);
  const reload = () => { nodes.reload(); running.reload(); top.reload(); };
  useChanges(project, top.reload, 2000);
  useChanges(project, nodes.reload, 10_000);
  useChanges(project, running.reload);
  const holders = (node: string) => {
    const map = new Map<number, Api.Job>();
    for (const job of running.data ?? [])
      if (!isFinal(job.state) && job.attempt?.allocation?.node === node && !job.attempt.allocation.shared)
        for (const cpu of cpuSet(job.attempt.allocation.cpus)) map.set(cpu, { ...job, project });
    return map;
  };
  const problem = nodes.problem ?? flavors.problem;
  return (
    <div class="page">
      <header class="page-head"><h1>{nodes.data?.items.length === 1 ? 'This machine' : 'Machines'}</h1>
        <Command behind={() => ({ cli: command('node.list', undefined), curl: curl('node.list', {}) })} /></header>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      {nodes.data?.items.map((node) => <Machine key={node.id} node={node} holders={holders(node.name)} top={top.data?.nodes.find((one) => one.name === node.name)} />)}
      {project && top.data && <Busy project={project} jobs={top.data.jobs} />}
      {flavors.data && flavors.data.items.length > 0 && (
        <section class="card">
          <h2>Flavors</h2>
          <table class="plain-table"><thead><tr><th>Name</th><th class="num">Cores</th><th class="num">Memory</th><th class="num">Disk</th><th class="num">GPUs</th><th>GPU model</th><th>Cores are</th></tr></thead>
            <tbody>{flavors.data.items.map((flavor) => <tr key={flavor.name}><td>{flavor.name}</td><td class="num">{flavor.cores}</td><td class="num">{bytes(flavor.memory)}</td>
              <td class="num">{bytes(flavor.disk)}</td><td class="num">{flavor.gpu_milli ? flavor.gpu_milli / 1000 : flavor.gpus || '–'}</td><td>{flavor.gpu_model ?? '–'}</td><td>{flavor.shared ? 'shared' : 'its own'}</td></tr>)}</tbody></table>
        </section>
      )}
    </div>
  );
}
