// artifacts.tsx - what a job left, to look at and to take home
import { useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { call, Problem, request } from '../client';
import { command, curl } from '../cli';
import { bytes, plural } from '../format';
import { useLoad } from '../load';
import type { JobPath } from '../log';
import { Command, Dialog, Empty, note, textOf, Trouble } from './parts';
import { Virtual } from './virtual';

const ROW = 32;
const LIMIT = 10_000;
const SEEN = 65_536;
/** Above this, a file goes to the disk as it comes, where the browser can do that. */
const IN_MEMORY = 64 * 1024 * 1024;
const AT_MOST = 1024 * 1024 * 1024;

type Picker = { showSaveFilePicker?: (options: { suggestedName: string }) => Promise<{ createWritable(): Promise<WritableStream> }> };

/** The script downloads, because only it has the key. */
async function save(fetched: (signal?: AbortSignal) => Promise<Response>, name: string, size: number): Promise<void> {
  const picker = (window as Picker).showSaveFilePicker;
  if (size > IN_MEMORY && picker) {
    const file = await picker.call(window, { suggestedName: name });
    const target = await file.createWritable();
    await (await fetched()).body!.pipeTo(target);
    return;
  }
  if (size > AT_MOST) throw new Problem(0, `${bytes(size)} are too much for this browser; copy the command instead`);
  const url = URL.createObjectURL(await (await fetched()).blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

const download = (fetched: () => Promise<Response>, name: string, size: number): void =>
  void save(fetched, name, size).catch((reason: unknown) => {
    if ((reason as Error).name !== 'AbortError') note(textOf(reason), true);
  });

function Preview({ path, artifact, onClose }: { path: JobPath; artifact: Api.Artifact; onClose: () => void }) {
  const { data, problem } = useLoad(async () => {
    const answer = await request('artifact.fetch', { path: { ...path, path: artifact.path } }, artifact.size > SEEN ? { Range: `bytes=0-${SEEN - 1}` } : {});
    const content = new Uint8Array(await answer.arrayBuffer());
    return content.includes(0) ? null : new TextDecoder().decode(content);
  }, artifact.path);
  return (
    <Dialog title={artifact.path} onClose={onClose} wide>
      {problem ? <Trouble reason={problem} /> : null}
      {data === null && <Empty title="Not text" />}
      {data !== undefined && data !== null && <pre class="preview" tabIndex={0}>{data}</pre>}
      {data && artifact.size > SEEN && <p class="faint">the first {bytes(SEEN)} of {bytes(artifact.size)}</p>}
    </Dialog>
  );
}

export function Artifacts({ path, live }: { path: JobPath; live: boolean }) {
  const [shown, setShown] = useState<Api.Artifact | null>(null);
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
        <Command behind={() => ({ cli: command('artifact.list', path), curl: curl('artifact.list', { path }) })} />
        <button disabled={!data?.items.length} onClick={() => download(() => request('artifact.tar', { path, query: { glob: query.glob } }), `${path.job}.tar`, total)}>All as tar</button>
      </div>
      {problem ? <Trouble reason={problem} again={reload} /> : null}
      <div class="table files" role="table" aria-label="Files">
        <div role="rowgroup"><div class="row row-head" role="row">
          <span role="columnheader">Path</span><span role="columnheader" class="num">Size</span><span role="columnheader">SHA-256</span><span role="columnheader" class="num">Actions</span>
        </div></div>
        <Virtual count={data?.items.length ?? 0} rowHeight={ROW} attributes={{ role: 'rowgroup' }} row={(i) => {
          const item = data!.items[i]!;
          const fetched = () => request('artifact.fetch', { path: { ...path, path: item.path } });
          return (
            <div class="row" role="row" key={item.path} style={{ height: `${ROW}px` }}>
              <span role="cell" class="mono" title={item.path}>{item.path}</span>
              <span role="cell" class="num">{bytes(item.size)}</span>
              <span role="cell" class="mono faint" title={item.sha256}>{item.sha256.slice(0, 16)}…</span>
              <span role="cell" class="num actions">
                <button class="plain" onClick={() => setShown(item)} aria-label={`View ${item.path}`}>View</button>
                <button class="plain" onClick={() => download(fetched, item.path.split('/').at(-1)!, item.size)} aria-label={`Download ${item.path}`}>Download</button>
              </span>
            </div>
          );
        }} />
      </div>
      {shown && <Preview path={path} artifact={shown} onClose={() => setShown(null)} />}
    </section>
  );
}
