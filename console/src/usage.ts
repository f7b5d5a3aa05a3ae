// usage.ts - what a job uses of its hardware: what was sampled, and each second that comes
import type * as Api from '#declared/api';
import { call, follow, Problem } from './client';
import type { JobPath } from './log';
import type { Series } from './series';

const SECONDS_KEPT = 120;

/** One line of points: VALUE of each, by the time of the sample; what was not measured is left out. */
export function seriesOf(points: Api.Use[], label: string, value: (point: Api.Use) => number | undefined): Series {
  const series: Series = { label, x: [], y: [], t: [] };
  for (const point of points) {
    const y = value(point);
    if (y === undefined) continue;
    const time = Date.parse(point.time) / 1000;
    series.x.push(time);
    series.y.push(y);
    series.t.push(time);
  }
  return series;
}

export class Usage {
  cores = 0;
  memory = 0;
  live: Api.Use[] = [];
  history: Api.Use[] = [];
  limit: Api.Limit | undefined;
  problem: Problem | null = null;
  loaded = false;
  private end = new AbortController();

  constructor(private path: JobPath, private draw: () => void, running: boolean, private rank?: number) {
    void this.load().then(() => running && !this.end.signal.aborted && this.followOn());
  }

  close(): void {
    this.end.abort();
  }

  private async load(): Promise<void> {
    try {
      const found = await call('job.metrics', { path: this.path, query: { rank: this.rank }, signal: this.end.signal });
      Object.assign(this, { cores: found.cores, memory: found.memory, live: found.live, history: found.history, limit: found.limit });
      this.problem = null;
    } catch (reason) {
      if (this.end.signal.aborted) return;
      this.problem = reason instanceof Problem ? reason : new Problem(0, String(reason));
    }
    this.loaded = true;
    this.draw();
  }

  private followOn(): void {
    void follow('job.metrics', { path: this.path, query: { rank: this.rank, follow: true } }, {
      onMessage: ({ event, data }) => {
        if (event === 'end') {
          this.limit = undefined;
          this.end.abort();
          void call('job.metrics', { path: this.path, query: { rank: this.rank } }).then((found) => { this.history = found.history; this.live = []; this.draw(); }, () => {});
        } else if (event === 'limit') {
          this.limit = JSON.parse(data) as Api.Limit;
        } else if (event === 'message') {
          this.take(JSON.parse(data) as Api.Use);
        }
        this.draw();
      },
      onLost: (problem) => { if (problem.status >= 400) { this.problem = problem; this.draw(); } },
    }, this.end.signal);
  }

  private take(point: Api.Use): void {
    if (point.time <= (this.live.at(-1)?.time ?? '')) return;
    this.live = [...this.live, point].slice(-SECONDS_KEPT);
    this.history = [...this.history, point];
  }
}
