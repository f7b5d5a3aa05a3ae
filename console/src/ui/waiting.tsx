// waiting.tsx - what a job that waits asks for, who goes before it, and what would let it begin now
import type * as Api from '#declared/api';
import { bytes, count, duration, plural } from '../format';
import { href } from '../route';

interface Numbers { tasks?: number; gpus?: number; gpu_model?: string; cores?: number; memory?: number }

/** "4 tasks of 2 x H100, 16 cores, 64 GiB" */
export function asks(why: Api.Why): string {
  const numbers = why.numbers as Numbers | undefined;
  if (!numbers?.cores) return '–';
  const each = [numbers.gpus ? `${numbers.gpus} x ${numbers.gpu_model ?? 'GPU'}` : '', plural(numbers.cores, 'core'), bytes(numbers.memory)];
  return `${(numbers.tasks ?? 1) > 1 ? `${count(numbers.tasks!)} tasks of ` : ''}${each.filter(Boolean).join(', ')}`;
}

const SIGN = { now: '', declared: '< ', history: '~ ', unknown: '' };

/** "< 2 h 10 m": sooner where jobs end before their time; "~ 2 h": by what is usual. */
export const begins = (eta: Api.WhyEta | undefined): string =>
  !eta ? '' : eta.seconds === undefined ? '?' : `${SIGN[eta.basis]}${duration(eta.seconds)}`;

/** Those of the project by name; of others the number alone is known. */
export function Before({ project, before }: { project: string; before: Api.WhyBefore }) {
  const more = before.count - before.others - before.jobs.length;
  if (!before.count) return <p class="faint">Next in the queue.</p>;
  return (
    <p><span class="faint">{plural(before.count, 'job')} before it: </span>
      {before.jobs.map((job, i) => <span key={job.id}>{i > 0 && ', '}<a href={href('p', project, 'jobs', job.id)}>{job.name}</a></span>)}
      <span class="faint">{more > 0 && ` and ${count(more)} more`}{before.others > 0 && `${before.jobs.length ? ', ' : ''}${count(before.others)} of other projects`}</span>
    </p>
  );
}

/** Each alone would do. USE takes the fields of the request that would be different. */
export function Changes({ changes, use }: { changes: Api.WhyChange[]; use?: (patch: Record<string, unknown>) => void }) {
  if (!changes.length) return null;
  return (
    <div class="changes">
      <p class="faint">{changes.length === 1 ? 'This' : 'Any of these'} would let it begin now:</p>
      <ul>{changes.map((change) => (
        <li key={change.change + change.text}>{change.text}
          {use && change.patch !== undefined && <button type="button" class="plain" onClick={() => use(change.patch as Record<string, unknown>)} aria-label={`Use it: ${change.text}`}>Use it</button>}
        </li>
      ))}</ul>
    </div>
  );
}
