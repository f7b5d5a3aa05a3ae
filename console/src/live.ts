// live.ts - what the pages share: who is signed in, the projects, one stream of the project's events
import { useEffect, useReducer, useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { follow } from './client';

export class Store<T> {
  private listeners = new Set<() => void>();
  constructor(private value: T) {}
  get(): T { return this.value; }
  set(value: T): void {
    if (value === this.value) return;
    this.value = value;
    for (const listener of [...this.listeners]) listener();
  }
  watch(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }
}

export function useStore<T>(store: Store<T>): T {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.watch(() => again(undefined as never)), [store]);
  return store.get();
}

export interface Session { identity: Api.Identity; projects: Api.Project[]; version: string }
export const session = new Store<Session | null>(null);
export const link = new Store<'connecting' | 'live' | 'lost'>('connecting');

const LEVELS = { public: 0, viewer: 1, member: 2, admin: 3 };
/** May this key call what needs ROLE? The server decides; this hides what it would refuse. */
export const may = (role: keyof typeof LEVELS, cloud = false): boolean => {
  const identity = session.get()?.identity;
  return !!identity && LEVELS[identity.role] >= LEVELS[role] && !(cloud && identity.project);
};

type Listener = { event: (event: Api.Event) => void; open: () => void };
let hub: { project: string; listeners: Set<Listener>; end: AbortController } | null = null;

function openHub(project: string): NonNullable<typeof hub> {
  const made = { project, listeners: new Set<Listener>(), end: new AbortController() };
  link.set('connecting');
  void follow('event.list', { path: { project }, query: { follow: true, new: true } }, {
    onMessage: ({ data }) => {
      const event = JSON.parse(data) as Api.Event;
      for (const listener of [...made.listeners]) listener.event(event);
    },
    onOpen: () => {
      link.set('live');
      for (const listener of [...made.listeners]) listener.open();
    },
    onLost: () => link.set('lost'),
  }, made.end.signal);
  return made;
}

/** Events of PROJECT as they are committed. `open` is called when the stream stands, first and after each
 * loss: what is read from then on misses nothing. */
export function useEvents(project: string, listener: Listener): void {
  useEffect(() => {
    if (!hub || hub.project !== project) {
      hub?.end.abort();
      hub = openHub(project);
    } else if (link.get() === 'live') {
      listener.open();
    }
    const mine = hub;
    mine.listeners.add(listener);
    return () => {
      mine.listeners.delete(listener);
      // The next page may want the same stream.
      setTimeout(() => {
        if (mine.listeners.size) return;
        mine.end.abort();
        if (hub === mine) hub = null;
      }, 1000);
    };
  }, [project, listener]);
}

/** The time, a second each: one for all that shows it. */
export const clock = new Store(Date.now());
setInterval(() => { if (!document.hidden) clock.set(Date.now()); }, 1000);

/** The time, again every PERIOD while something moves. */
export function useNow(active: boolean, period = 1000): number {
  const [now, set] = useState(Date.now);
  useEffect(() => {
    if (!active) return;
    set(Date.now());
    const timer = setInterval(() => { if (!document.hidden) set(Date.now()); }, period);
    return () => clearInterval(timer);
  }, [active, period]);
  return now;
}
