// log.ts - a log of any length: the lines around what is in sight, fetched in blocks, and its end as it grows
import { follow, Problem, request } from './client';

export interface JobPath { project: string; job: string }

const BLOCK = 500;
const BLOCKS_KEPT = 60;
const FIRST_TAIL = 500;
/** A stream that brings more than this in a second is left behind: nobody reads so fast. */
const FAST_BYTES = 2_000_000;
/** Of one answer; lines can be of any length. */
const ANSWER_MAX = 8_000_000;

/** "100-199/5000": the lines of an answer, and how many there are. */
export function readLines(header: string | null): { first: number; count: number } {
  const match = /^(?:(\d+)-\d+|none)\/(\d+)$/.exec(header ?? '');
  return { first: Number(match?.[1] ?? 0), count: Number(match?.[2] ?? 0) };
}

async function textOf(answer: Response): Promise<string> {
  const reader = answer.body!.getReader();
  const decoder = new TextDecoder();
  let text = '';
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    if (text.length > ANSWER_MAX) {
      void reader.cancel();
      return text;
    }
  }
}

/** What a view of lines is drawn of. */
export interface Lines {
  readonly count: number;
  readonly problem: Problem | null;
  readonly ended: boolean;
  readonly loaded: boolean;
  /** undefined: not here yet; see want(). */
  line(number: number): string | undefined;
  /** Lines FIRST to LAST are in sight. */
  want(first: number, last: number): void;
  close(): void;
}

/** Calls TOO_FAST when more than anybody reads came in a second. */
export function speedLimit(tooFast: () => void): (bytes: number) => void {
  let bytes = 0;
  let since = Date.now();
  return (n) => {
    bytes += n;
    const now = Date.now();
    if (now - since < 1000) return;
    if (bytes > FAST_BYTES * (now - since) / 1000) tooFast();
    bytes = 0;
    since = now;
  };
}

export class Log implements Lines {
  count = 0;
  attempt: number | undefined;
  problem: Problem | null = null;
  ended = false;
  loaded = false;
  private blocks = new Map<number, (string | undefined)[]>();
  private asked = new Set<number>();
  private end = new AbortController();
  private part = '';
  private drawing = 0;

  constructor(private path: JobPath, private draw: () => void, attempt?: number, private rank?: number) {
    this.attempt = attempt;
    void this.start();
  }

  close(): void {
    this.end.abort();
    cancelAnimationFrame(this.drawing);
  }

  line(number: number): string | undefined {
    return this.blocks.get(Math.floor(number / BLOCK))?.[number % BLOCK];
  }

  want(first: number, last: number): void {
    for (let block = Math.floor(first / BLOCK); block * BLOCK < Math.min(last, this.count); block++)
      if (!this.isWhole(block) && !this.asked.has(block)) void this.fetchBlock(block);
  }

  private isWhole(block: number): boolean {
    const lines = this.blocks.get(block);
    if (!lines) return false;
    const size = Math.min(BLOCK, this.count - block * BLOCK);
    for (let i = 0; i < size; i++) if (lines[i] === undefined) return false;
    this.blocks.delete(block); // the newest use is last
    this.blocks.set(block, lines);
    return true;
  }

  private redraw(): void {
    if (!this.drawing) this.drawing = requestAnimationFrame(() => { this.drawing = 0; this.draw(); });
  }

  private put(number: number, text: string): void {
    const block = Math.floor(number / BLOCK);
    let lines = this.blocks.get(block);
    if (!lines) {
      lines = [];
      this.blocks.set(block, lines);
      if (this.blocks.size > BLOCKS_KEPT) this.blocks.delete(this.blocks.keys().next().value!);
    }
    lines[number % BLOCK] = text;
    if (number >= this.count) this.count = number + 1;
  }

  private take(first: number, text: string): void {
    if (!text) return;
    const lines = text.split('\n');
    if (lines.at(-1) === '') lines.pop();
    lines.forEach((line, i) => this.put(first + i, line));
  }

  private async read(query: { from?: number; limit?: number; tail?: number }): Promise<number> {
    const answer = await request('log.show', { path: this.path, query: { ...query, attempt: this.attempt, rank: this.rank }, signal: this.end.signal });
    const { first, count } = readLines(answer.headers.get('Berth-Lines'));
    this.take(first, await textOf(answer));
    if (count > this.count) this.count = count;
    return count;
  }

  private async fetchBlock(block: number): Promise<void> {
    this.asked.add(block);
    try {
      await this.read({ from: block * BLOCK, limit: BLOCK });
    } catch (reason) {
      if (reason instanceof Problem) this.problem = reason;
    }
    this.asked.delete(block);
    this.redraw();
  }

  private async start(): Promise<void> {
    try {
      await this.read({ tail: FIRST_TAIL });
    } catch (reason) {
      if (this.end.signal.aborted) return;
      this.problem = reason instanceof Problem ? reason : new Problem(0, String(reason));
    }
    this.loaded = true;
    this.redraw();
    while (!this.ended && !this.end.signal.aborted) await this.followOn();
  }

  /** One stream: until the job ends, or until it brings more than anybody reads; then the next begins at the
   * end, and what lies between is fetched when somebody looks at it. */
  private async followOn(): Promise<void> {
    const turn = new AbortController();
    const end = () => turn.abort();
    this.end.signal.addEventListener('abort', end, { once: true });
    let skip = false;
    await follow('log.show', { path: this.path, query: { follow: true, from: skip ? undefined : this.count, attempt: this.attempt, rank: this.rank } }, {
      onMessage: (message) => this.message(message.event, message.id, message.data, turn),
      onOpen: () => { this.problem = null; },
      onLost: (problem) => { this.problem = problem; this.redraw(); },
      onBytes: speedLimit(() => { skip = true; turn.abort(); }),
    }, turn.signal);
    this.end.signal.removeEventListener('abort', end);
    if (this.problem && this.problem.status >= 400) this.ended = true;
    if (skip && !this.end.signal.aborted) await this.read({ tail: FIRST_TAIL }).catch(() => {});
    this.redraw();
  }

  private message(event: string, id: string, data: string, turn: AbortController): void {
    const value = JSON.parse(data) as { line?: number; text?: string; part?: boolean };
    if (event === 'end') {
      this.ended = true;
      turn.abort();
    } else if (event === 'message') {
      const attempt = Number(id.split(':')[0]);
      if (this.attempt === undefined && value.line === 0 && this.count > 0 && attempt > 1) this.restart();
      this.part = this.part.length < ANSWER_MAX ? this.part + (value.text ?? '') : this.part;
      if (value.part) return;
      this.put(value.line ?? this.count, this.part);
      this.part = '';
    }
    this.redraw();
  }

  /** The job was retried: the log of the next attempt begins. */
  private restart(): void {
    this.count = 0;
    this.blocks.clear();
  }
}
