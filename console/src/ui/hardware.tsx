// hardware.tsx - what a job was given of machines, and what it uses of that: all its tasks or one of them
import type * as Api from '#declared/api';
import { bytes, duration, seconds } from '../format';
import type { JobPath } from '../log';
import { Empty, Fact, Facts } from './parts';
import { RankChoice, useRank, type Task } from './ranks';
import { UsageBoard } from './usage';

type Usage = { cpu_seconds?: number; memory_peak_bytes?: number };
/** An attempt, or a task of one. */
type Part = Pick<Task, 'allocation' | 'evidence' | 'usage' | 'started' | 'ended'>;

const CpuTime = ({ spent, took }: { spent: number; took: number | undefined }) => (
  <>{duration(spent)}{took ? <span class="faint"> · {(spent / took).toFixed(2)} cores on average</span> : null}</>
);

function Given({ part, processor }: { part: Part; processor: string | undefined }) {
  const allocation = part.allocation;
  const evidence = (part.evidence ?? {}) as { cpus?: string; address?: string };
  const usage = (part.usage ?? {}) as Usage;
  if (!allocation) return <Empty title="No hardware yet" />;
  return (
    <Facts>
      <Fact name="Machine">{allocation.node}</Fact>
      <Fact name="Processor">{processor}</Fact>
      <Fact name="CPUs"><code>{allocation.cpus}</code>{allocation.shared && ' (shared)'}{evidence.cpus === allocation.cpus && <span class="proof" title="Read back from the kernel after the start"> ✓ read back</span>}</Fact>
      <Fact name="NUMA nodes"><code>{allocation.mems}</code></Fact>
      <Fact name="Memory">{bytes(allocation.memory)}{usage.memory_peak_bytes !== undefined && <span class="faint"> · at most {bytes(usage.memory_peak_bytes)} used</span>}</Fact>
      <Fact name="Disk">{allocation.disk ? bytes(allocation.disk) : undefined}</Fact>
      <Fact name="GPUs">{allocation.gpus?.length ? <>{allocation.gpu_milli ? `${allocation.gpu_milli / 1000} of ` : ''}{allocation.gpus.map((gpu) => <code key={gpu}>{gpu} </code>)}</> : undefined}</Fact>
      <Fact name="CPU time">{usage.cpu_seconds !== undefined && <CpuTime spent={usage.cpu_seconds} took={seconds(part.started, part.ended)} />}</Fact>
      <Fact name="Address">{evidence.address && <code>{evidence.address}</code>}</Fact>
    </Facts>
  );
}

/** Sums; what tasks do not share is seen of one of them. */
function GivenToAll({ job, tasks }: { job: Api.Job; tasks: Task[] }) {
  const sum = (value: (task: Task) => number | undefined) => tasks.reduce((all, task) => all + (value(task) ?? 0), 0);
  const machines = [...new Set(tasks.map((task) => task.allocation?.node))];
  const gpus = sum((task) => (task.allocation?.gpus?.length ?? 0) * (task.allocation?.gpu_milli ?? 1000)) / 1000;
  const spent = sum((task) => (task.usage as Usage | undefined)?.cpu_seconds);
  return (
    <Facts>
      <Fact name="Tasks">{tasks.length}</Fact>
      <Fact name={machines.length > 1 ? 'Machines' : 'Machine'}>{machines.join(', ')}</Fact>
      <Fact name="Memory">{bytes(sum((task) => task.allocation?.memory))}</Fact>
      <Fact name="GPUs">{gpus || undefined}</Fact>
      <Fact name="CPU time">{spent > 0 && <CpuTime spent={spent} took={seconds(job.started, job.ended)} />}</Fact>
    </Facts>
  );
}

export function HardwareBoard({ path, job, tasks }: { path: JobPath; job: Api.Job; tasks: Task[] }) {
  const rank = useRank(tasks);
  const task = tasks.find((one) => one.rank === rank);
  const attempt = job.attempt!;
  // What is recorded of a processor is that of the first machine.
  const record = (attempt.record ?? {}) as { cpu_model?: string };
  const processor = !task || task.allocation?.node === attempt.allocation?.node ? record.cpu_model : undefined;
  return (
    <div class="scroll">
      {tasks.length > 1 && <div class="bar"><RankChoice tasks={tasks} rank={rank} /></div>}
      <div class="facts-wide"><section class="card"><h2>Given to it</h2>
        {tasks.length > 1 && !task ? <GivenToAll job={job} tasks={tasks} />
          : <Given part={task ?? { ...attempt, started: job.started, ended: job.ended }} processor={processor} />}</section></div>
      <UsageBoard path={path} live={job.state === 'running' || job.state === 'stopping'} attempt={job.attempts ?? 1} rank={rank} />
    </div>
  );
}
