// datasets.tsx - datasets, their versions, what differs, and which jobs read or wrote them
import { useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { call, request } from '../client';
import { command, curl, verb } from '../cli';
import { bytes, count, plural } from '../format';
import { useChanges, useLoad } from '../load';
import { may } from '../live';
import { go, href, setQuery, useLocation } from '../route';
import { exactly, Files } from '../ui/files';
import { Command, Dialog, Empty, Fact, Facts, note, Panel, State, Tabs, textOf, Time, Trouble } from '../ui/parts';

const Tags = ({ tags }: { tags: Record<string, string> }) =>
  <>{Object.entries(tags).map(([key, value]) => <span key={key} class="tag">{key}{value && `=${value}`}</span>)}</>;

export function DatasetsPage({ project }: { project: string }) {
  const { parts } = useLocation();
  return parts[3] ? <DatasetPage key={parts[3]} project={project} name={parts[3]} /> : <List project={project} />;
}

function List({ project }: { project: string }) {
  const { query } = useLocation();
  const tag = query.get('tag') ?? '';
  const input = { path: { project }, query: { limit: 1000, tag: tag || undefined } };
  const { data, problem, reload } = useLoad(() => call('dataset.list', input), `${project} ${tag}`);
  useChanges(project, reload);
  return (
    <div class="page">
      <header class="page-head"><h1>Datasets</h1><Command behind={() => ({ cli: command('dataset.list', { project }, tag ? ['--tag', tag] : []), curl: curl('dataset.list', input) })} /></header>
      <div class="bar"><input type="search" aria-label="Tag, KEY or KEY=VALUE" placeholder="Tag: KEY or KEY=VALUE" value={tag} onChange={(e) => setQuery({ tag: e.currentTarget.value.trim() })} /></div>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      {data && (data.items.length === 0 ? <Empty title={tag ? 'No dataset is like this' : 'No datasets'}>{!tag && <p>Make one of a directory: <code>berth dataset push NAME DIR</code>. Jobs read it in <code>/datasets/NAME</code>.</p>}</Empty> : (
        <div class="card"><table class="plain-table">
          <thead><tr><th>Name</th><th>Newest</th><th class="num">Files</th><th class="num">Size</th><th class="num">Versions</th><th>Message</th><th>Tags</th><th class="num">Changed</th></tr></thead>
          <tbody>{data.items.map((set) => (
            <tr key={set.id}><td class="col-name"><a href={href('p', project, 'datasets', set.name)}>{set.name}</a></td><td><code>{set.name}@{set.version?.number ?? set.last}</code></td>
              <td class="num">{count(set.files ?? 0)}</td><td class="num">{bytes(set.size)}</td><td class="num">{set.versions}</td>
              <td class="wrap">{set.version?.message}</td><td><Tags tags={set.tags ?? {}} /></td><td class="num faint"><Time time={set.updated} /></td></tr>))}</tbody>
        </table></div>))}
      {data?.next && <p class="faint">These are the first {count(data.items.length)}.</p>}
    </div>
  );
}

function Versions({ project, items, name }: { project: string; items: Api.DatasetVersion[]; name: string }) {
  return (
    <div class="card"><table class="plain-table">
      <thead><tr><th class="num">Version</th><th>Message</th><th>Tags</th><th class="num">Files</th><th class="num">Size</th><th>Digest</th><th>By</th><th class="num">Made</th><th><span class="hidden">Actions</span></th></tr></thead>
      <tbody>{items.map((one, i) => (
        <tr key={one.number}><td class="num">{one.number}</td><td class="wrap">{one.message}</td><td><Tags tags={one.tags ?? {}} /></td><td class="num">{count(one.files ?? 0)}</td><td class="num">{bytes(one.size)}</td>
          <td class="mono faint" title={one.manifest}>{one.manifest?.slice(0, 12)}</td>
          <td>{one.job ? <a href={href('p', project, 'jobs', one.job)}>{one.job_name ?? 'a job'}</a> : one.actor?.replace(/^key:/, '')}</td><td class="num faint"><Time time={one.created} /></td>
          <td class="num"><button class="plain" onClick={() => setQuery({ tab: 'files', version: String(one.number) })}>Files</button>
            {items[i + 1] && <button class="plain" onClick={() => setQuery({ tab: 'diff', version: String(one.number), with: String(items[i + 1]!.number) })} aria-label={`Changes of version ${one.number} of ${name}`}>Changes</button>}</td></tr>))}</tbody>
    </table></div>
  );
}

function Jobs({ project, uses }: { project: string; uses: Api.DatasetUse[] }) {
  if (!uses.length) return <Empty title="No job has read or written it" />;
  return (
    <div class="card"><table class="plain-table"><thead><tr><th>Job</th><th>State</th><th>What it did</th><th class="num">Version</th></tr></thead>
      <tbody>{uses.map((use) => (
        <tr key={`${use.job} ${use.version} ${use.role}`}><td class="col-name">{use.state === 'deleted' ? use.name : <a href={href('p', project, 'jobs', use.job)}>{use.name}</a>}</td>
          <td>{use.state === 'deleted' ? <span class="faint">deleted</span> : <State state={use.state as Api.JobState} />}</td><td>{use.role === 'read' ? 'read' : 'wrote'}</td><td class="num">{use.version}</td></tr>))}</tbody></table></div>
  );
}

function Content({ project, dataset }: { project: string; dataset: string }) {
  const [glob, setGlob] = useState('');
  const path = { project, dataset };
  const query = { glob: glob ? (/[*?[]/.test(glob) ? glob : `**${glob}**`) : undefined, limit: 1000 };
  const { data, problem, reload } = useLoad(() => call('dataset.files', { path, query }), `${dataset} ${glob}`);
  return (
    <section class="log" aria-label={`Files of ${dataset}`}>
      <div class="bar"><code>{dataset}</code><span class="faint">{data && `${plural(data.items.length, 'file')}${data.next ? ' shown, there are more' : ''}`}</span>
        <input type="search" aria-label="Path, or a pattern" placeholder="Path or pattern" value={glob} onInput={(e) => setGlob(e.currentTarget.value.trim())} />
        <span class="spring" /><Command behind={() => ({ cli: command('dataset.files', path, query.glob ? ['--glob', query.glob] : []), curl: curl('dataset.files', { path, query }) })} /></div>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      <Files items={data?.items ?? []} fetched={(file, headers) => request('dataset.fetch', { path: { ...path, path: file.path } }, headers)}
        behind={(file) => ({ cli: verb('dataset pull', project, [dataset, '--glob', exactly(file.path)]), curl: `${curl('dataset.fetch', { path: { ...path, path: file.path } })} -O` })} />
    </section>
  );
}

function Diff({ project, name, from, to }: { project: string; name: string; from: string; to: string }) {
  const path = { project, dataset: `${name}@${from}` };
  const query = { with: `${name}@${to}`, limit: 1000 };
  const { data, problem, reload } = useLoad(() => call('dataset.diff', { path, query }), `${path.dataset} ${query.with}`);
  return (
    <section class="log" aria-label="Changes">
      <div class="bar"><span>From <code>{path.dataset}</code> to <code>{query.with}</code></span><span class="faint">{data && `${plural(data.items.length, 'change')}${data.next ? ' shown, there are more' : ''}`}</span>
        <span class="spring" /><Command behind={() => ({ cli: command('dataset.diff', path, [query.with]), curl: curl('dataset.diff', { path, query }) })} /></div>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      {data && (data.items.length === 0 ? <Empty title="Nothing differs" /> :
        <div class="card"><table class="plain-table"><thead><tr><th>Change</th><th>Path</th><th class="num">Before</th><th class="num">After</th></tr></thead>
          <tbody>{data.items.map((one) => <tr key={one.path}><td class={`change-${one.change}`}>{one.change}</td><td class="mono wrap">{one.path}</td><td class="num">{bytes(one.before?.size)}</td><td class="num">{bytes(one.after?.size)}</td></tr>)}</tbody></table></div>)}
    </section>
  );
}

function Delete({ path }: { path: { project: string; dataset: string } }) {
  const [open, setOpen] = useState(false);
  const remove = async () => {
    setOpen(false);
    await call('dataset.delete', { path }).then(() => { note('deleted'); go(href('p', path.project, 'datasets')); }, (reason: unknown) => note(textOf(reason), true));
  };
  return (
    <>
      <button onClick={() => setOpen(true)}>Delete…</button>
      {open && <Dialog title={`Delete ${path.dataset}?`} onClose={() => setOpen(false)}>
        <p>All its versions are gone then. What a job still needs is refused.</p>
        <footer><Command behind={() => ({ cli: command('dataset.delete', path), curl: curl('dataset.delete', { path }) })} /><span class="spring" />
          <button onClick={() => setOpen(false)}>Keep it</button><button class="danger" autofocus onClick={() => void remove()}>Delete it</button></footer></Dialog>}
    </>
  );
}

function DatasetPage({ project, name }: { project: string; name: string }) {
  const { query } = useLocation();
  const path = { project, dataset: name };
  const set = useLoad(() => call('dataset.show', { path }), name);
  const versions = useLoad(() => call('dataset.versions', { path, query: { limit: 1000 } }), name);
  useChanges(project, set.reload);
  useChanges(project, versions.reload);
  const problem = set.problem ?? versions.problem;
  const data = set.data;
  const version = query.get('version') ?? String(data?.last ?? '');
  const tabs = [{ id: 'versions', name: 'Versions', mark: data?.versions }, { id: 'jobs', name: 'Jobs', mark: data?.jobs?.length || undefined }, { id: 'files', name: 'Files' },
    ...(query.get('with') ? [{ id: 'diff', name: 'Changes' }] : [])];
  const at = tabs.some((tab) => tab.id === query.get('tab')) ? query.get('tab')! : 'versions';
  return (
    <div class="page page-full">
      <header class="page-head">
        <h1><a class="crumb" href={href('p', project, 'datasets')}>Datasets</a><span class="faint"> / </span>{name}</h1>
        <span class="spring" />
        <Command behind={() => ({ cli: `${command('dataset.show', path)}\n${verb('dataset pull', project, [name])}`, curl: curl('dataset.show', { path }) })} />
        {may('member') && <a class="button" href={`${href('p', project, 'new-job')}?dataset=${encodeURIComponent(name)}`}>Use in a job</a>}
        {may('member') && <Delete path={path} />}
      </header>
      {problem ? <Trouble reason={problem} again={() => { set.reload(); versions.reload(); }} /> : null}
      {data && <section class="card"><Facts>
        <Fact name="Newest"><code>{name}@{data.last}</code> <span class="faint">{plural(data.files ?? 0, 'file')}, {bytes(data.size)}</span></Fact>
        <Fact name="Message">{data.version?.message}</Fact>
        <Fact name="Tags">{Object.keys(data.tags ?? {}).length > 0 && <Tags tags={data.tags ?? {}} />}</Fact>
        <Fact name="In a job">read-only in <code>/datasets/{name}</code></Fact>
      </Facts></section>}
      <Tabs tabs={tabs} at={at} label="Parts of the dataset" onChange={(tab) => setQuery({ tab: tab === 'versions' ? '' : tab })} />
      <Panel id={at}>
        {at === 'versions' && versions.data && <Versions project={project} items={versions.data.items} name={name} />}
        {at === 'jobs' && data && <Jobs project={project} uses={data.jobs ?? []} />}
        {at === 'files' && version && <Content project={project} dataset={`${name}@${version}`} />}
        {at === 'diff' && <Diff project={project} name={name} from={query.get('with')!} to={version} />}
      </Panel>
    </div>
  );
}
