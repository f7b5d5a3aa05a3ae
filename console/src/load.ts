// load.ts - what a page reads from the API, and reads again when something happened
import { useCallback, useEffect, useMemo, useRef, useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { useEvents } from './live';

export interface Loaded<T> { data: T | undefined; problem: unknown; reload: () => void }

/** READ again whenever KEY changes; an answer that comes late for an older key is dropped. */
export function useLoad<T>(read: () => Promise<T>, key: string): Loaded<T> {
  const [state, set] = useState<{ key: string; data?: T; problem?: unknown }>({ key });
  const turn = useRef(0);
  const reload = useCallback(() => {
    const mine = ++turn.current;
    read().then(
      (data) => { if (mine === turn.current) set({ key, data }); },
      (problem: unknown) => { if (mine === turn.current) set((old) => ({ key, data: old.key === key ? old.data : undefined, problem })); },
    );
  }, [key]);
  useEffect(() => {
    reload();
    return () => { turn.current++; };
  }, [reload]);
  return { data: state.key === key ? state.data : undefined, problem: state.problem, reload };
}

const GENTLE = 1000;

/** RELOAD when jobs of PROJECT change, once a second at most, and every PERIOD for what changes without an event. */
export function useChanges(project: string, reload: () => void, period = 0): void {
  const waiting = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const last = useRef(0);
  const listener = useMemo(() => {
    const soon = () => {
      waiting.current ??= setTimeout(() => {
        waiting.current = undefined;
        last.current = Date.now();
        reload();
      }, Math.max(0, last.current + GENTLE - Date.now()));
    };
    return { event: (event: Api.Event) => { if (event.subject_kind === 'job') soon(); }, open: soon };
  }, [reload]);
  useEvents(project, listener);
  useEffect(() => {
    const timer = period ? setInterval(() => { if (!document.hidden) reload(); }, period) : undefined;
    return () => {
      clearInterval(timer);
      clearTimeout(waiting.current);
      waiting.current = undefined;
    };
  }, [reload, period]);
}
