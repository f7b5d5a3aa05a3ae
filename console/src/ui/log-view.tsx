// log-view.tsx - the log of a job: live, any length, searched
import { useCallback, useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from 'preact/hooks';
import { count, plural } from '../format';
import { Log, type JobPath } from '../log';
import { pieces } from './ansi';
import { Empty, Trouble } from './parts';
import { topOf, Virtual } from './virtual';

const ROW = 18;
const SHOWN_MAX = 4000;

function Line({ number, text, digits }: { number: number; text: string | undefined; digits: number }) {
  const shown = text && text.length > SHOWN_MAX ? text.slice(0, SHOWN_MAX) : text;
  return (
    <div class={`line${shown?.startsWith('{"chart"') ? ' line-chart' : ''}`}>
      <span class="line-number" style={{ width: `${digits}ch` }} aria-hidden="true">{number + 1}</span>
      <span class="line-text">
        {shown === undefined ? <span class="faint">…</span>
          : pieces(shown).map((piece, i) => piece.class ? <span key={i} class={piece.class}>{piece.text}</span> : piece.text)}
        {text && text.length > SHOWN_MAX && <span class="faint"> … {count(text.length - SHOWN_MAX)} more characters</span>}
      </span>
    </div>
  );
}

export function LogView({ path, attempt, live }: { path: JobPath; attempt?: number; live: boolean }) {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const [stuck, setStuck] = useState(true);
  const box = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  const log = useMemo(() => new Log(path, () => draw(undefined as never), attempt), [path.project, path.job, attempt]);
  useEffect(() => () => log.close(), [log]);

  const toEnd = () => {
    follows.current = true;
    setStuck(true);
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  useLayoutEffect(() => {
    if (follows.current && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [log.count, log.loaded]);
  const onScroll = (element: HTMLDivElement) => {
    const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < ROW * 1.5;
    if (atEnd === follows.current) return;
    follows.current = atEnd;
    setStuck(atEnd);
  };
  const onSpan = useCallback((first: number, last: number) => log.want(first, last), [log, log.count]);
  const digits = Math.max(3, String(log.count).length);
  const goTo = (line: number) => {
    const element = box.current;
    if (!element) return;
    follows.current = false;
    setStuck(false);
    element.scrollTop = topOf(line, log.count, ROW, element.clientHeight);
  };

  return (
    <section class="log" aria-label="Log">
      <div class="bar">
        <span class="faint" data-lines={log.count}>{plural(log.count, 'line')}</span>
        {live && !log.ended && <span class="live"><i aria-hidden="true" />live</span>}
        <form class="inline" onSubmit={(e) => {
          e.preventDefault();
          const line = Number(new FormData(e.currentTarget).get('line'));
          if (line >= 1) goTo(Math.min(line, log.count) - 1);
        }}>
          <label>Line <input name="line" type="number" min="1" max={Math.max(1, log.count)} size={8} /></label>
        </form>
        <span class="spring" />
        <button disabled={stuck} onClick={toEnd}>{live ? 'Follow' : 'To the end'}</button>
      </div>
      {log.problem && log.problem.status !== 0 && <Trouble reason={log.problem} />}
      {log.loaded && log.count === 0
        ? <Empty title={live ? 'Nothing printed yet' : 'Nothing was printed'} />
        : <Virtual box={box} class="lines" count={log.count} rowHeight={ROW} onSpan={onSpan} onScroll={onScroll}
            attributes={{ tabIndex: 0, role: 'log', 'aria-label': 'Lines of the log', 'aria-live': 'off' }}
            row={(i) => <Line key={i} number={i} text={log.line(i)} digits={digits} />} />}
    </section>
  );
}
