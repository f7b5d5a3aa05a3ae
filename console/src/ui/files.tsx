// files.tsx - a table of files of any number, each to look at and to take home
import { useState } from 'preact/hooks';
import { Problem } from '../client';
import { bytes } from '../format';
import { useLoad } from '../load';
import { Command, Dialog, Empty, note, textOf, Trouble, type Behind } from './parts';
import { Virtual } from './virtual';

const ROW = 32;
const SEEN = 65_536;
/** Above this, a file goes to the disk as it comes, where the browser can do that. */
const IN_MEMORY = 64 * 1024 * 1024;
const AT_MOST = 1024 * 1024 * 1024;

export interface File { path: string; size?: number; sha256?: string }
/** Fetches a file, with a header Range when one is given. */
export type Fetch = (file: File, headers?: Record<string, string>) => Promise<Response>;

type Picker = { showSaveFilePicker?: (options: { suggestedName: string }) => Promise<{ createWritable(): Promise<WritableStream> }> };

/** The script downloads, because only it has the key. */
async function save(fetched: () => Promise<Response>, name: string, size: number): Promise<void> {
  const picker = (window as Picker).showSaveFilePicker;
  if (size > IN_MEMORY && picker) {
    const file = await picker.call(window, { suggestedName: name });
    const target = await file.createWritable();
    await (await fetched()).body!.pipeTo(target);
    return;
  }
  if (size > AT_MOST) throw new Problem(0, `${bytes(size)} are too much for this browser; use the command line`);
  const url = URL.createObjectURL(await (await fetched()).blob());
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const download = (fetched: () => Promise<Response>, name: string, size: number): void =>
  void save(fetched, name, size).catch((reason: unknown) => {
    if ((reason as Error).name !== 'AbortError') note(textOf(reason), true);
  });

const take = (file: File, fetched: Fetch): void => download(() => fetched(file), file.path.split('/').at(-1)!, file.size ?? 0);

function Preview({ file, fetched, behind, onClose }: { file: File; fetched: Fetch; behind: (file: File) => Behind; onClose: () => void }) {
  const long = (file.size ?? 0) > SEEN;
  const { data, problem } = useLoad(async () => {
    const answer = await fetched(file, long ? { Range: `bytes=0-${SEEN - 1}` } : {});
    const content = new Uint8Array(await answer.arrayBuffer());
    return content.includes(0) ? null : new TextDecoder().decode(content);
  }, file.path);
  return (
    <Dialog title={file.path} onClose={onClose} wide>
      {problem ? <Trouble reason={problem} /> : null}
      {data === null && <Empty title="Not text" />}
      {data !== undefined && data !== null && <pre class="preview" tabIndex={0}>{data}</pre>}
      {data && long && <p class="faint">the first {bytes(SEEN)} of {bytes(file.size)}</p>}
      <footer><Command behind={() => behind(file)} /><span class="spring" /><button onClick={() => take(file, fetched)}>Download</button></footer>
    </Dialog>
  );
}

/** Of a name: the pattern that means it and nothing else. */
export const exactly = (path: string): string => path.replace(/[*?[\]\\]/g, '\\$&');

export function Files({ items, fetched, behind }: { items: File[]; fetched: Fetch; behind: (file: File) => Behind }) {
  const [shown, setShown] = useState<File | null>(null);
  return (
    <div class="table files" role="table" aria-label="Files">
      <div role="rowgroup"><div class="row row-head" role="row">
        <span role="columnheader">Path</span><span role="columnheader" class="num">Size</span><span role="columnheader">SHA-256</span><span role="columnheader" class="num">Actions</span>
      </div></div>
      <Virtual count={items.length} rowHeight={ROW} attributes={{ role: 'rowgroup' }} row={(i) => {
        const item = items[i]!;
        return (
          <div class="row" role="row" key={item.path} style={{ height: `${ROW}px` }}>
            <span role="cell" class="mono" title={item.path}>{item.path}</span>
            <span role="cell" class="num">{bytes(item.size)}</span>
            <span role="cell" class="mono faint" title={item.sha256}>{item.sha256 && `${item.sha256.slice(0, 16)}…`}</span>
            <span role="cell" class="num actions">
              <button class="plain" onClick={() => setShown(item)} aria-label={`View ${item.path}`}>View</button>
              <button class="plain" onClick={() => take(item, fetched)} aria-label={`Download ${item.path}`}>Download</button>
            </span>
          </div>
        );
      }} />
      {shown && <Preview file={shown} fetched={fetched} behind={behind} onClose={() => setShown(null)} />}
    </div>
  );
}
