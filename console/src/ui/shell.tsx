// shell.tsx - a terminal in the running job, over a WebSocket that a ticket of one use opens
import { useEffect, useRef, useState } from 'preact/hooks';
import { FitAddon } from '@xterm/addon-fit';
import { Terminal, type ITheme } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { call, target } from '../client';
import { command, curl } from '../cli';
import type { JobPath } from '../log';
import { Command, textOf } from './parts';

const INPUT = 0;
const OUTPUT = 1;
const ERRORS = 2;
const CONTROL = 3;

/** The terminal writes its colours into <style> elements, which our policy refuses. While it lives it gets stand-ins
 * for them, whose text goes into sheets that are constructed, and that no markup can make. */
function standIns(): () => void {
  const sheets: CSSStyleSheet[] = [];
  const styled = (): HTMLElement => {
    const sheet = new CSSStyleSheet();
    sheets.push(sheet);
    document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    const stand = Document.prototype.createElement.call(document, 'span');
    stand.hidden = true;
    Object.defineProperty(stand, 'textContent', { set: (css: string) => sheet.replaceSync(css), get: () => '' });
    return stand;
  };
  document.createElement = ((kind: string, options?: ElementCreationOptions) =>
    kind === 'style' ? styled() : Document.prototype.createElement.call(document, kind, options)) as typeof document.createElement;
  return () => {
    delete (document as Partial<Document>).createElement;
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => !sheets.includes(sheet));
  };
}

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const theme = (): ITheme => ({ background: css('--sunken'), foreground: css('--text'), cursor: css('--accent'), selectionBackground: css('--accent-soft'), selectionForeground: css('--text') });

const framed = (channel: number, bytes: Uint8Array): Uint8Array<ArrayBuffer> => {
  const frame = new Uint8Array(bytes.length + 1);
  frame[0] = channel;
  frame.set(bytes, 1);
  return frame;
};
const encoder = new TextEncoder();
const control = (value: unknown): Uint8Array<ArrayBuffer> => framed(CONTROL, encoder.encode(JSON.stringify(value)));

export default function Shell({ path }: { path: JobPath }) {
  const box = useRef<HTMLDivElement>(null);
  const [said, say] = useState('connecting…');
  const [turn, again] = useState(0);
  const [over, setOver] = useState(false);

  useEffect(() => {
    const withdraw = standIns();
    const terminal = new Terminal({ fontFamily: css('--mono'), fontSize: 13, cursorBlink: true, theme: theme(), screenReaderMode: true, scrollback: 5000 });
    const fit = new FitAddon();
    let socket: WebSocket | null = null;
    let gone = false;
    terminal.loadAddon(fit);
    terminal.open(box.current!);
    fit.fit();
    terminal.focus();
    const size = () => ({ rows: terminal.rows, columns: terminal.cols });
    const send = (frame: Uint8Array<ArrayBuffer>) => { if (socket?.readyState === WebSocket.OPEN) socket.send(frame); };
    const end = (words: string) => { say(words); setOver(true); };

    const told = (text: string) => {
      const word = JSON.parse(text) as { started?: boolean; exit?: { code?: number; signal?: number }; error?: { detail?: string } };
      if (word.started) say('connected');
      if (word.exit) end(`the shell ended with ${word.exit.code ?? word.exit.signal}`);
      if (word.error) end(word.error.detail ?? 'it failed');
    };
    const start = async () => {
      const { ticket } = await call('session.ticket', { path });
      if (gone) return;
      const url = new URL(target('session.exec', { path }), location.href);
      url.protocol = url.protocol.replace('http', 'ws');
      socket = new WebSocket(url, ['berth.session.v1', `berth.ticket.${ticket}`]);
      socket.binaryType = 'arraybuffer';
      socket.onopen = () => send(control({ tty: true, stdin: true, size: size(), term: 'xterm-256color' }));
      socket.onmessage = ({ data }: MessageEvent<ArrayBuffer>) => {
        const bytes = new Uint8Array(data);
        if (bytes[0] === OUTPUT || bytes[0] === ERRORS) terminal.write(bytes.subarray(1));
        else if (bytes[0] === CONTROL) told(new TextDecoder().decode(bytes.subarray(1)));
      };
      socket.onclose = () => { if (!gone) { say((old) => old === 'connected' ? 'the connection is closed' : old); setOver(true); } };
    };
    start().catch((reason: unknown) => end(textOf(reason)));
    terminal.onData((text) => send(framed(INPUT, encoder.encode(text))));
    terminal.onBinary((text) => send(framed(INPUT, Uint8Array.from(text, (char) => char.charCodeAt(0)))));
    terminal.onResize(() => send(control({ size: size() })));
    const resized = new ResizeObserver(() => fit.fit());
    resized.observe(box.current!);
    const painted = new MutationObserver(() => { terminal.options.theme = theme(); });
    painted.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    return () => {
      gone = true;
      resized.disconnect();
      painted.disconnect();
      socket?.close();
      terminal.dispose();
      withdraw();
    };
  }, [path.project, path.job, turn]);

  return (
    <section class="log" aria-label="Shell">
      <div class="bar"><span class="faint" role="status">{said}</span><span class="spring" />
        <Command behind={() => ({ cli: command('session.exec', path), curl: curl('session.ticket', { path }) })} />
        {over && <button onClick={() => { setOver(false); say('connecting…'); again(turn + 1); }}>New shell</button>}</div>
      <div class="shell" ref={box} />
    </section>
  );
}
