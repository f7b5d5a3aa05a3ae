// gang-log.ts - the logs of all tasks of a job in the order of time: their newest lines, and those that come
import { follow, Problem } from './client';
import { speedLimit, type JobPath, type Lines } from './log';

/** Lines kept; of more the oldest go. One task alone is read by ranges, of any length (log.ts). */
const KEPT = 20_000;
const DROPPED = 5_000;
const FIRST_TAIL = 4_000;
const LINE_MAX = 1_000_000;

interface Said { rank: number; text: string }

export class GangLog implements Lines {
  problem: Problem | null = null;
  ended = false;
  loaded = false;
  /** Lines before these exist. */
  partial = false;
  private lines: Said[] = [];
  private next: number[] = []; // of each rank: the line that comes next
  private parts = new Map<number, string>();
  private attempt = '';
  private end = new AbortController();
  private drawing = 0;

  constructor(private path: JobPath, private draw: () => void, private tasks: number, private only?: number) {
    void this.start();
  }

  get count(): number { return this.lines.length; }
  line(number: number): string | undefined { return this.lines[number]?.text; }
  rank(number: number): number | undefined { return this.lines[number]?.rank; }
  want(): void {} // all that is kept is here

  close(): void {
    this.end.abort();
    cancelAnimationFrame(this.drawing);
  }

  private redraw(): void {
    if (!this.drawing) this.drawing = requestAnimationFrame(() => { this.drawing = 0; this.draw(); });
  }

  /** One stream: until the job ends, or until it brings more than anybody reads; then the next begins
   * near the end, and lines between are left out. */
  private async start(): Promise<void> {
    let tail = Math.max(10, Math.floor(FIRST_TAIL / this.tasks));
    while (!this.ended && !this.end.signal.aborted) {
      const turn = new AbortController();
      const end = () => turn.abort();
      this.end.signal.addEventListener('abort', end, { once: true });
      await follow('log.show', { path: this.path, query: { merged: true, follow: true, tail, attempt: this.only } }, {
        onMessage: ({ event, id, data }) => this.message(event, id, data, turn),
        onOpen: () => { this.problem = null; },
        onLost: (problem) => { this.problem = problem; this.redraw(); },
        onBytes: speedLimit(() => { tail >>= 3; this.partial = true; turn.abort(); }), // less each time, as lines may be long
      }, turn.signal);
      this.end.signal.removeEventListener('abort', end);
      if (this.problem && this.problem.status >= 400) this.ended = this.loaded = true;
      this.redraw();
    }
  }

  private forget(): void {
    this.lines = [];
    this.next = [];
    this.parts.clear();
    this.partial = false;
  }

  private message(event: string, id: string, data: string, turn: AbortController): void {
    const attempt = id.split(':')[0]!;
    if (attempt && attempt !== this.attempt) {
      if (this.attempt) this.forget(); // the job was retried
      this.attempt = attempt;
    }
    this.loaded = true;
    if (event === 'end') {
      this.ended = true;
      turn.abort();
    } else if (event === 'message') {
      this.take(JSON.parse(data) as { rank?: number; line?: number; text?: string; part?: boolean });
    }
    this.redraw();
  }

  private take(said: { rank?: number; line?: number; text?: string; part?: boolean }): void {
    const rank = said.rank ?? 0;
    const number = said.line ?? 0;
    const seen = this.next[rank];
    if (seen !== undefined && number < seen) return; // it came before the connection was lost
    if (seen === undefined && number > 0) this.partial = true;
    const text = ((this.parts.get(rank) ?? '') + (said.text ?? '')).slice(0, LINE_MAX);
    if (said.part) return void this.parts.set(rank, text);
    this.parts.delete(rank);
    this.next[rank] = number + 1;
    this.lines.push({ rank, text });
    if (this.lines.length <= KEPT) return;
    this.lines.splice(0, DROPPED);
    this.partial = true;
  }
}
