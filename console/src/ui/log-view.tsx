// log-view.tsx - the log of a job: live, any length, searched
import { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { call } from '../client';
import { command, curl } from '../cli';
import { count, plural } from '../format';
import { Log, type JobPath, type Lines } from '../log';
import { GangLog } from '../gang-log';
import { pieces } from './ansi';
import { Command, Empty, textOf, Trouble } from './parts';
import { rankFlags, RankChoice, useRank, type Task } from './ranks';
import { topOf, Virtual } from './virtual';

const ROW = 18;
const SHOWN_MAX = 4000;

/** The text with what is looked for marked. */
function Marked({ text, wanted }: { text: string; wanted: string }) {
  const low = text.toLowerCase();
  const parts = [];
  let at = 0;
  for (let found = low.indexOf(wanted); found >= 0; found = low.indexOf(wanted, at)) {
    parts.push(text.slice(at, found), <mark key={found}>{text.slice(found, found + wanted.length)}</mark>);
    at = found + wanted.length;
  }
  return <>{parts}{text.slice(at)}</>;
}

interface LineProps { number: number; text: string | undefined; digits: number; wanted: string; at: boolean; rank?: number }

function Line({ number, text, digits, wanted, at, rank }: LineProps) {
  const shown = text && text.length > SHOWN_MAX ? text.slice(0, SHOWN_MAX) : text;
  const marked = (part: string) => wanted ? <Marked text={part} wanted={wanted} /> : part;
  return (
    <div class={`line${shown?.startsWith('{"chart"') ? ' line-chart' : ''}${at ? ' line-at' : ''}`}>
      {rank === undefined ? <span class="line-number" style={{ width: `${digits}ch` }} aria-hidden="true">{number + 1}</span>
        : <span class="line-number line-rank" style={{ width: `${digits}ch`, borderLeftColor: `var(--c${rank % 8 + 1})` }}>[{rank}] </span>}
      <span class="line-text">
        {shown === undefined ? <span class="faint">…</span>
          : pieces(shown).map((piece, i) => <span key={i} class={piece.class || undefined}>{marked(piece.text)}</span>)}
        {text && text.length > SHOWN_MAX && <span class="faint"> … {count(text.length - SHOWN_MAX)} more characters</span>}
      </span>
    </div>
  );
}

interface Found { wanted: string; lines: number[]; more: boolean; busy: boolean; at: number; problem: unknown }
const NOTHING: Found = { wanted: '', lines: [], more: false, busy: false, at: -1, problem: null };
const FOUND_MAX = 5000;

/** Asks the server page by page; what was found so far can be walked through at once. */
function useSearch(path: JobPath, attempt: number | undefined, rank: number | undefined, goTo: (line: number) => void) {
  const [found, set] = useState(NOTHING);
  const turn = useRef(0);
  const search = async (text: string) => {
    const mine = ++turn.current;
    const wanted = text.toLowerCase();
    if (!wanted) return set(NOTHING);
    let state: Found = { ...NOTHING, wanted, busy: true };
    let cursor: number | undefined;
    try {
      do {
        const page = await call('log.search', { path, query: { text: wanted, any_case: true, limit: 1000, cursor, attempt, rank } });
        if (mine !== turn.current) return;
        const first = state.lines.length === 0 && page.items.length > 0;
        state = { ...state, lines: [...state.lines, ...page.items.map((match) => match.line)], more: page.next !== undefined, at: first ? 0 : state.at };
        cursor = page.next === undefined ? undefined : Number(page.next);
        if (first) goTo(state.lines[0]!);
        set(state);
      } while (cursor !== undefined && state.lines.length < FOUND_MAX);
      set({ ...state, busy: false });
    } catch (problem) {
      if (mine === turn.current) set({ ...state, busy: false, problem });
    }
  };
  const step = (by: number) => {
    if (!found.lines.length) return;
    const at = (found.at + by + found.lines.length) % found.lines.length;
    set({ ...found, at });
    goTo(found.lines[at]!);
  };
  return { found, search, step };
}

function SearchBar({ path, rank, search: { found, search, step } }: { path: JobPath; rank: number | undefined; search: ReturnType<typeof useSearch> }) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key !== '/' || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test((event.target as Element).tagName)) return;
      event.preventDefault();
      box.current?.focus();
    };
    document.addEventListener('keydown', key);
    return () => document.removeEventListener('keydown', key);
  }, []);
  const keys = (event: KeyboardEvent) => {
    const text = box.current!.value;
    if (event.key === 'Escape') { box.current!.value = ''; void search(''); }
    if (event.key !== 'Enter') return;
    event.preventDefault();
    if (text.toLowerCase() === found.wanted && found.lines.length) step(event.shiftKey ? -1 : 1);
    else void search(text);
  };
  return (
    <div class="inline" role="search">
      <input ref={box} type="search" maxLength={200} placeholder="Search the log   /" aria-label="Search the log" onKeyDown={keys} onInput={(e) => { if (!e.currentTarget.value) void search(''); }} />
      {found.wanted && <>
        <span role="status">{found.lines.length ? `${count(found.at + 1)} of ${count(found.lines.length)}${found.more ? '+' : ''}` : found.busy ? 'looking…' : 'not found'}</span>
        <button aria-label="Previous match" disabled={!found.lines.length} onClick={() => step(-1)}>↑</button>
        <button aria-label="Next match" disabled={!found.lines.length} onClick={() => step(1)}>↓</button>
        <Command label="" behind={() => ({ cli: command('log.search', path, [...rankFlags(rank), '--search', found.wanted]), curl: curl('log.search', { path, query: { rank, text: found.wanted } }) })} />
      </>}
      {found.problem ? <span class="bad">{textOf(found.problem)}</span> : null}
    </div>
  );
}

const NO_TASKS: Task[] = [];

/** Of TASKS, when there are many, all together or one of them, as the address says. */
export function LogView({ path, attempt, live, tasks = NO_TASKS }: { path: JobPath; attempt?: number; live: boolean; tasks?: Task[] }) {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const [stuck, setStuck] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const rank = useRank(tasks);
  const many = tasks.length > 1 && rank === undefined ? tasks.length : 0;
  const log = useMemo((): Lines => {
    const again = () => draw(undefined as never);
    return many ? new GangLog(path, again, many, attempt) : new Log(path, again, attempt, rank);
  }, [path.project, path.job, attempt, many, rank]);
  const gang = log instanceof GangLog ? log : null;
  useEffect(() => () => log.close(), [log]);

  const toEnd = () => {
    follows.current = true;
    setStuck(true);
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  useLayoutEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [log.count, log.loaded]);
  // What lies above comes and goes while the job runs: the end stays in sight.
  const shown = log.count > 0;
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const sized = new ResizeObserver(() => { if (follows.current) element.scrollTop = element.scrollHeight; });
    sized.observe(element);
    return () => sized.disconnect();
  }, [shown]);
  const onScroll = (element: HTMLDivElement) => {
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < ROW * 1.5;
    if (atEnd === follows.current) return;
    follows.current = atEnd;
    setStuck(atEnd);
  };
  const onSpan = useCallback((first: number, last: number) => log.want(first, last), [log, log.count]);
  const digits = many ? String(many - 1).length + 2 : Math.max(3, String(log.count).length);
  const goTo = (line: number) => {
    const element = box.current;
    if (!element) return;
    follows.current = false;
    setStuck(false);
    element.scrollTop = topOf(line, log.count, ROW, element.clientHeight);
  };
  const search = useSearch(path, attempt, rank, goTo);
  const at = search.found.at < 0 ? -1 : search.found.lines[search.found.at];

  return (
    <section class="log" aria-label="Log">
      <div class="bar">
        <span class="faint" data-lines={log.count}>{plural(log.count, 'line')}</span>
        {live && !log.ended && <span class="live"><i aria-hidden="true" />live</span>}
        <RankChoice tasks={tasks} rank={rank} />
        {!gang && <form class="inline" onSubmit={(e) => {
          e.preventDefault();
          const line = Number(new FormData(e.currentTarget).get('line'));
          if (line >= 1) goTo(Math.min(line, log.count) - 1);
        }}>
          <label>Line <input name="line" type="number" min="1" max={Math.max(1, log.count)} size={8} /></label>
        </form>}
        {gang?.partial && <span class="faint">the newest of each rank; choose one for all of it</span>}
        <span class="spring" />
        {!gang && <SearchBar path={path} rank={rank} search={search} />}
        <Command label="" behind={() => ({ cli: command('log.show', path, [...(attempt ? ['--attempt', String(attempt)] : []), ...rankFlags(rank), ...(live ? ['--follow'] : [])]), curl: curl('log.show', { path, query: { attempt, rank, merged: gang ? true : undefined, follow: live || undefined } }) })} />
        <button disabled={stuck} onClick={toEnd}>{live ? 'Follow' : 'To the end'}</button>
      </div>
      {log.problem && log.problem.status !== 0 && <Trouble reason={log.problem} />}
      {log.loaded && log.count === 0
        ? <Empty title={live ? 'Nothing printed yet' : 'Nothing was printed'} />
        : <Virtual box={box} class="lines" count={log.count} rowHeight={ROW} onSpan={onSpan} onScroll={onScroll}
            attributes={{ tabIndex: 0, role: 'log', 'aria-label': 'Lines of the log', 'aria-live': 'off' }}
            row={(i) => <Line key={i} number={i} text={log.line(i)} digits={digits} wanted={gang ? '' : search.found.wanted} at={i === at} rank={gang?.rank(i)} />} />}
    </section>
  );
}
