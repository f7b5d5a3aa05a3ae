// queue.tsx - what waits and runs, in the order of the policy, each with its reason
import { call } from '../client';
import { command, curl } from '../cli';
import { duration, seconds } from '../format';
import { may, useNow } from '../live';
import { useChanges, useLoad } from '../load';
import { href, setQuery, useLocation } from '../route';
import { Bookings } from '../ui/bookings';
import { Command, Empty, State, Trouble } from '../ui/parts';
import { Virtual } from '../ui/virtual';
import { asks, begins } from '../ui/waiting';

const ROW = 34;

export function QueuePage({ project }: { project: string }) {
  const { query } = useLocation();
  const ofAll = query.get('of') === 'all' && may('viewer', true);
  const input = { path: { project }, query: { limit: 1000 } };
  const { data, problem, reload } = useLoad(() => ofAll ? call('queue.all', { query: input.query }) : call('queue.show', input), `${project} ${ofAll}`);
  useChanges(project, reload, 5000);
  const now = useNow(true);
  const items = data?.items ?? [];
  return (
    <div class="page page-full">
      <header class="page-head">
        <h1>Queue</h1>
        <span class="faint">{data && `${items.filter((item) => item.job.state === 'queued').length} waiting, ${items.filter((item) => item.job.state !== 'queued').length} on hardware`}</span>
        {may('viewer', true) && <label class="inline"><input type="checkbox" checked={ofAll} onChange={(e) => setQuery({ of: e.currentTarget.checked ? 'all' : '' })} /> All projects</label>}
        <Command behind={() => ofAll ? { cli: 'berth queue --all-projects', curl: curl('queue.all', { query: input.query }) } : { cli: command('queue.show', { project }), curl: curl('queue.show', input) }} />
      </header>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      <Bookings project={project} ofAll={ofAll} />
      <div class="table queue" role="table" aria-label="Queue">
        <div role="rowgroup"><div class="row row-head" role="row">
          <span role="columnheader" class="num">Place</span><span role="columnheader">State</span><span role="columnheader">Name</span>
          <span role="columnheader">Asks</span><span role="columnheader" class="num">Begins in</span><span role="columnheader">Why</span><span role="columnheader" class="num">Priority</span><span role="columnheader" class="num">Since</span>
        </div></div>
        {data && !items.length ? <Empty title="Nothing waits or runs" /> :
          <Virtual count={items.length} rowHeight={ROW} attributes={{ role: 'rowgroup' }} row={(i) => {
            const { job, why, project: of } = items[i]!;
            return (
              <div class="row" role="row" key={job.id} style={{ height: `${ROW}px` }}>
                <span role="cell" class="num faint">{why.position === undefined ? '–' : why.position + 1}</span>
                <span role="cell"><State state={job.state} /></span>
                <span role="cell" class="col-name">{ofAll && <span class="faint">{of} / </span>}<a href={href('p', of, 'jobs', job.id)}>{job.name}</a></span>
                <span role="cell" class="faint" title={asks(why)}>{asks(why)}</span>
                <span role="cell" class="num" title={why.eta?.text}>{begins(why.eta)}</span>
                <span role="cell" title={why.text}>{why.text}</span>
                <span role="cell" class="num">{job.priority}</span>
                <span role="cell" class="num faint">{duration(seconds(job.state === 'running' ? job.started ?? job.created : job.created, now))}</span>
              </div>
            );
          }} />}
      </div>
    </div>
  );
}
