// parts.tsx - small pieces that every page uses
import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { JobState } from '#declared/api';
import { Problem } from '../client';
import { moment, ago } from '../format';
import { clock, Store, useStore } from '../live';

export const State = ({ state }: { state: JobState }) => <span class={`state state-${state}`}><i aria-hidden="true" />{state}</span>;

export function Time({ time }: { time: string | undefined }) {
  const now = useStore(clock);
  return time ? <time dateTime={time} title={moment(time)}>{ago(time, Math.max(now, Date.parse(time)))}</time> : <span class="faint">–</span>;
}

export function Facts({ children }: { children: ComponentChildren }) {
  return <dl class="facts">{children}</dl>;
}

/** Nothing is shown for what is not known. */
export const Fact = ({ name, children }: { name: string; children?: ComponentChildren }) =>
  children === undefined || children === null || children === '' || children === false ? null : <div class="fact"><dt>{name}</dt><dd>{children}</dd></div>;

export const Empty = ({ title, children }: { title: string; children?: ComponentChildren }) =>
  <div class="empty"><strong>{title}</strong>{children && <div>{children}</div>}</div>;

export const textOf = (reason: unknown): string => reason instanceof Error ? reason.message : String(reason);

export const Trouble = ({ reason, again }: { reason: unknown; again?: () => void }) => (
  <div class="trouble" role="alert">
    <span>{textOf(reason)}{reason instanceof Problem && reason.status > 0 && <span class="faint"> ({reason.status})</span>}</span>
    {again && <button onClick={again}>Try again</button>}
  </div>
);

// ---- notes that come and go ----

interface Note { id: number; text: string; bad: boolean }
const notes = new Store<Note[]>([]);
let nextNote = 1;

export function note(text: string, bad = false): void {
  const made = { id: nextNote++, text, bad };
  notes.set([...notes.get().slice(-3), made]);
  setTimeout(() => notes.set(notes.get().filter((other) => other !== made)), bad ? 12_000 : 4_000);
}

export const Notes = () => (
  <div class="notes" role="status" aria-live="polite">
    {useStore(notes).map((one) => <div key={one.id} class={one.bad ? 'note bad' : 'note'}>{one.text}</div>)}
  </div>
);

export async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Browsers keep the clipboard from pages that came without TLS from another machine.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand('copy');
    area.remove();
  }
  note('copied');
}

// ---- dialogs ----

export function Dialog({ title, onClose, children, wide }: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => { element.current?.showModal(); }, []);
  return (
    <dialog ref={element} class={wide ? 'wide' : undefined} aria-label={title} onClose={onClose} onClick={(e) => { if (e.target === element.current) element.current?.close(); }}>
      <header><h2>{title}</h2><button class="plain" aria-label="Close" onClick={() => element.current?.close()}>✕</button></header>
      {children}
    </dialog>
  );
}

// ---- the command behind what is seen ----

export interface Behind { cli: string; curl: string }

/** Shows which command and which call do the same; a click copies. */
export function Command({ behind, label = 'Command' }: { behind: () => Behind; label?: string }) {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => { if (!box.current?.contains(event.target as Node)) setOpen(false); };
    const escape = (event: KeyboardEvent) => { if (event.key === 'Escape') setOpen(false); };
    document.addEventListener('pointerdown', outside);
    document.addEventListener('keydown', escape);
    return () => {
      document.removeEventListener('pointerdown', outside);
      document.removeEventListener('keydown', escape);
    };
  }, [open]);
  const text = open ? behind() : null;
  return (
    <div class="command" ref={box}>
      <button type="button" class="plain" aria-expanded={open} onClick={() => setOpen(!open)} aria-label={label || 'Command'} title="The command and the API call that do the same">
        <span class="prompt" aria-hidden="true">&gt;_</span>{label && ` ${label}`}
      </button>
      {text && (
        <div class="popover" role="group" aria-label="Command and API call">
          {([['Command line', text.cli], ['API', text.curl]] as const).map(([title, line]) => (
            <div class="snippet" key={title}>
              <div class="snippet-head"><span>{title}</span><button type="button" onClick={() => void copy(line)}>Copy</button></div>
              <pre tabIndex={0}>{line}</pre>
            </div>
          ))}
        </div>
      )}
    </div>
  );
}

// ---- tabs ----

export interface Tab { id: string; name: string; mark?: ComponentChildren }

export function Tabs({ tabs, at, onChange, label }: { tabs: Tab[]; at: string; onChange: (id: string) => void; label: string }) {
  const move = (event: KeyboardEvent) => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const next = tabs[(tabs.findIndex((tab) => tab.id === at) + step + tabs.length) % tabs.length]!;
    onChange(next.id);
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <div class="tabs" role="tablist" aria-label={label} onKeyDown={move}>
      {tabs.map((tab) => (
        <button key={tab.id} id={`tab-${tab.id}`} role="tab" aria-selected={tab.id === at} aria-controls={`panel-${tab.id}`}
          tabIndex={tab.id === at ? 0 : -1} onClick={() => onChange(tab.id)}>
          {tab.name}{tab.mark !== undefined && tab.mark !== null && <span class="mark">{tab.mark}</span>}
        </button>
      ))}
    </div>
  );
}

export const Panel = ({ id, children }: { id: string; children: ComponentChildren }) =>
  <div class="panel" role="tabpanel" id={`panel-${id}`} aria-labelledby={`tab-${id}`}>{children}</div>;
