// artifacts.tsx - what a job left
import { useState } from 'preact/hooks';
import { call, request } from '../client';
import { command, curl, verb } from '../cli';
import { bytes, plural } from '../format';
import { useLoad } from '../load';
import type { JobPath } from '../log';
import { download, exactly, Files } from './files';
import { Command, Empty, Trouble } from './parts';

const LIMIT = 10_000;

export function Artifacts({ path, live }: { path: JobPath; live: boolean }) {
  const [glob, setGlob] = useState('');
  const query = { glob: glob ? (/[*?[]/.test(glob) ? glob : `**${glob}**`) : undefined, limit: LIMIT };
  const { data, problem, reload } = useLoad(() => call('artifact.list', { path, query }), `${path.job} ${live} ${glob}`);
  const total = data?.items.reduce((sum, item) => sum + item.size, 0) ?? 0;
  if (data && !data.items.length && !glob)
    return <Empty title={live ? 'No artifacts yet' : 'No artifacts'}><p>What a job leaves in <code>/artifacts</code> is collected when it ends.</p></Empty>;
  return (
    <section class="log" aria-label="Artifacts">
      <div class="bar">
        <span class="faint">{data && <>{plural(data.items.length, 'file')}{data.next && ' shown'}, {bytes(total)}</>}</span>
        <input type="search" aria-label="Path, or a pattern" placeholder="Path or pattern" value={glob} onChange={(e) => setGlob(e.currentTarget.value.trim())} />
        <span class="spring" />
        <Command behind={() => { const only = query.glob ? [query.glob] : []; return {
          cli: `${command('artifact.list', path, only)}\n${verb('artifact get', path.project, [path.job, ...only, '--tar', `${path.job}.tar`])}`,
          curl: `${curl('artifact.list', { path, query: { glob: query.glob } })}\n${curl('artifact.tar', { path, query: { glob: query.glob } })} -o ${path.job}.tar`,
        }; }} />
        <button disabled={!data?.items.length} onClick={() => download(() => request('artifact.tar', { path, query: { glob: query.glob } }), `${path.job}.tar`, total)}>All as tar</button>
      </div>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      <Files items={data?.items ?? []} fetched={(file, headers) => request('artifact.fetch', { path: { ...path, path: file.path } }, headers)}
        behind={(file) => ({ cli: verb('artifact get', path.project, [path.job, exactly(file.path)]), curl: `${curl('artifact.fetch', { path: { ...path, path: file.path } })} -O` })} />
    </section>
  );
}
