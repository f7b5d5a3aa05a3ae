// client.ts - the API, by the names and types of its declarations
//
// The key lies in this tab's session storage: no cookie exists, so no other page can use it, and a job's own
// page on another port of this machine never sees it (cookies do not know ports).
import { endpoints, type Endpoints } from '#declared/api';
import { SseParser, type Message } from './sse';

export type Name = keyof Endpoints;
export type Answer<E extends Name> = Endpoints[E]['answer'];

/** What a call of E takes; parts that are empty may be left out. */
export interface Input<E extends Name> {
  path?: Endpoints[E]['path'];
  query?: Endpoints[E]['query'];
  body?: Endpoints[E]['body'];
  signal?: AbortSignal;
  ifMatch?: string;
}

export class Problem extends Error {
  constructor(readonly status: number, message: string, readonly field = '') {
    super(message);
  }
}

const STORED = 'berth.key';
let key = sessionStorage.getItem(STORED) ?? '';
let onRefused = () => {};

export const hasKey = (): boolean => key !== '';
export const whenRefused = (then: () => void): void => void (onRefused = then);

export function setKey(value: string): void {
  key = value;
  if (value) sessionStorage.setItem(STORED, value);
  else sessionStorage.removeItem(STORED);
}

export function target<E extends Name>(name: E, input: Input<E> = {}): string {
  const path = endpoints[name][1].replace(/\{(\w+)(\*?)\}/g, (_, param: string, slashes: string) => {
    const value = String((input.path as Record<string, unknown>)[param]);
    return slashes ? value.split('/').map(encodeURIComponent).join('/') : encodeURIComponent(value);
  });
  const query = new URLSearchParams();
  for (const [param, value] of Object.entries(input.query ?? {}))
    if (value !== undefined && value !== '') query.set(param, Array.isArray(value) ? value.join(',') : String(value));
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function problemOf(answer: Response): Promise<Problem> {
  const body = await answer.json().catch(() => ({})) as { detail?: string; title?: string; field?: string };
  return new Problem(answer.status, body.detail || body.title || `status ${answer.status}`, body.field);
}

/** The bare answer; throws a Problem for statuses from 400 on and for a server that is away (status 0). */
export async function request<E extends Name>(name: E, input: Input<E> = {}, headers: Record<string, string> = {}): Promise<Response> {
  const method = endpoints[name][0];
  const all: Record<string, string> = { ...headers };
  if (key) all.Authorization = `Bearer ${key}`;
  if (method === 'POST' && input.body !== undefined) all['Idempotency-Key'] = crypto.randomUUID?.() ?? String(Math.random()).slice(2);
  if (input.ifMatch) all['If-Match'] = input.ifMatch;
  if (input.body !== undefined) all['Content-Type'] = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  const init: RequestInit = { method, headers: all, credentials: 'omit', redirect: 'error' };
  if (input.body !== undefined) init.body = JSON.stringify(input.body);
  if (input.signal) init.signal = input.signal;
  const answer = await fetch(target(name, input), init).catch((reason: unknown) => {
    if (input.signal?.aborted) throw reason;
    throw new Problem(0, 'the server does not answer');
  });
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (problem.status === 401 && key) onRefused();
  throw problem;
}

export async function call<E extends Name>(name: E, input: Input<E> = {}): Promise<Answer<E>> {
  const answer = await request(name, input);
  return (answer.status === 204 ? undefined : await answer.json()) as Answer<E>;
}

const FIRST_WAIT = 500;
const LONGEST_WAIT = 10_000;

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', () => (clearTimeout(timer), done()), { once: true });
  });
}

/** Nobody looks at a hidden page: it holds no connection, of which a browser has few. */
function whenVisible(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (!document.hidden) return done();
    const look = () => {
      if (document.hidden && !signal.aborted) return;
      document.removeEventListener('visibilitychange', look);
      done();
    };
    document.addEventListener('visibilitychange', look);
    signal.addEventListener('abort', look, { once: true });
  });
}

export interface Follower {
  onMessage: (message: Message) => void;
  /** A connection stands (again): whatever was missed can be read now. */
  onOpen?: () => void;
  onLost?: (problem: Problem) => void;
  /** Bytes as they arrive. */
  onBytes?: (count: number) => void;
}

async function readStream(answer: Response, parser: SseParser, follower: Follower): Promise<void> {
  const reader = answer.body!.getReader();
  const decoder = new TextDecoder();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    follower.onBytes?.(value.length);
    parser.feed(decoder.decode(value, { stream: true }), follower.onMessage);
  }
}

/** Follow a stream until SIGNAL, over lost connections, and only while the page is visible. */
export async function follow<E extends Name>(name: E, input: Input<E>, follower: Follower, signal: AbortSignal): Promise<void> {
  const parser = new SseParser();
  let wait = FIRST_WAIT;
  while (!signal.aborted) {
    await whenVisible(signal);
    const turn = new AbortController();
    const hide = () => { if (document.hidden) turn.abort(); };
    const end = () => turn.abort();
    signal.addEventListener('abort', end, { once: true });
    document.addEventListener('visibilitychange', hide);
    try {
      const headers: Record<string, string> = { Accept: 'text/event-stream' };
      if (parser.id) headers['Last-Event-ID'] = parser.id;
      const answer = await request(name, { ...input, signal: turn.signal }, headers);
      parser.restart();
      follower.onOpen?.();
      wait = FIRST_WAIT;
      await readStream(answer, parser, follower);
    } catch (reason) {
      if (reason instanceof Problem && reason.status >= 400 && reason.status < 500) {
        follower.onLost?.(reason);
        return;
      }
    } finally {
      signal.removeEventListener('abort', end);
      document.removeEventListener('visibilitychange', hide);
    }
    if (signal.aborted || turn.signal.aborted) continue;
    follower.onLost?.(new Problem(0, 'the connection is lost'));
    await pause(wait, signal);
    wait = Math.min(wait * 2, LONGEST_WAIT);
  }
}
