// series.ts - chart points of jobs, as the lines that are drawn
import type { Json } from '#declared/api';
import { call, follow, Problem } from './client';
import type { JobPath } from './log';

export interface Point { chart: string; x?: number; y: number; t?: string | number; [label: string]: Json | undefined }

/** One line of a chart: a job, and labels that tell its lines apart. */
export interface Series { label: string; x: number[]; y: (number | null)[]; t: number[] }
export type Charts = Map<string, Map<string, Series>>;

const OWN = new Set(['chart', 'x', 'y', 't']);

/** Labels of a point, in a fixed order: "split=val". Empty when it has none. */
export function labelOf(point: Point): string {
  return Object.keys(point).filter((name) => !OWN.has(name)).sort().map((name) => `${name}=${String(point[name])}`).join(' ');
}

const timeOf = (point: Point): number => typeof point.t === 'number' ? point.t : point.t ? Date.parse(point.t) / 1000 : NaN;

/** Points come in any order of x; a line is drawn from left to right. The place of X, from the right, where
 * it nearly always belongs. */
function placeOf(x: number[], value: number): number {
  let at = x.length;
  while (at > 0 && x[at - 1]! > value) at--;
  return at;
}

export function add(charts: Charts, point: Point): void {
  if (typeof point.chart !== 'string' || typeof point.y !== 'number') return;
  let lines = charts.get(point.chart);
  if (!lines) charts.set(point.chart, lines = new Map());
  const label = labelOf(point);
  let line = lines.get(label);
  if (!line) lines.set(label, line = { label, x: [], y: [], t: [] });
  const x = typeof point.x === 'number' ? point.x : line.x.length;
  const at = placeOf(line.x, x);
  if (at > 0 && line.x[at - 1] === x) { // said again: the newest holds
    line.y[at - 1] = point.y;
    line.t[at - 1] = timeOf(point);
    return;
  }
  line.x.splice(at, 0, x);
  line.y.splice(at, 0, point.y);
  line.t.splice(at, 0, timeOf(point));
}

/** Exponential smoothing that starts unbiased (as TensorBoard draws it). */
export function smooth(values: (number | null)[], weight: number): (number | null)[] {
  if (weight <= 0) return values;
  let last = 0;
  let power = 1;
  return values.map((value) => {
    if (value === null || !isFinite(value)) return value;
    last = last * weight + (1 - weight) * value;
    power *= weight;
    return last / (1 - power);
  });
}

/** At most LIMIT points, keeping the least and the greatest of each stretch. */
export function thin(x: number[], y: (number | null)[], limit: number): [number[], (number | null)[]] {
  if (x.length <= limit) return [x, y];
  const stretch = Math.ceil(x.length / (limit / 2));
  const outX: number[] = [];
  const outY: (number | null)[] = [];
  for (let from = 0; from < x.length; from += stretch) {
    let low = from;
    let high = from;
    for (let i = from; i < Math.min(x.length, from + stretch); i++) {
      if ((y[i] ?? Infinity) < (y[low] ?? Infinity)) low = i;
      if ((y[i] ?? -Infinity) > (y[high] ?? -Infinity)) high = i;
    }
    for (const i of low < high ? [low, high] : low > high ? [high, low] : [low]) {
      outX.push(x[i]!);
      outY.push(y[i]!);
    }
  }
  return [outX, outY];
}

/** The points of a job, all that there are and those that come. */
export class Points {
  charts: Charts = new Map();
  problem: Problem | null = null;
  loaded = false;
  ended = false;
  private end = new AbortController();
  private attempt = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;

  /** RANK: of one task of many; 'all': each point has its task as a label. */
  constructor(path: JobPath, private draw: () => void, rank?: number | 'all') {
    const which = rank === 'all' ? { merged: true } : { rank };
    void follow('chart.list', { path, query: { ...which, follow: true } }, {
      onMessage: ({ event, id, data }) => {
        if (event === 'end') {
          this.ended = true;
          this.end.abort();
        } else if (event === 'message') {
          this.take(Number(id.split(':')[0]), JSON.parse(data) as Point);
        }
        this.redraw();
      },
      onLost: (problem) => { this.problem = problem; this.redraw(); },
      onOpen: () => { this.problem = null; this.loaded = true; this.redraw(); },
    }, this.end.signal);
  }

  close(): void {
    this.end.abort();
    clearTimeout(this.timer);
  }

  private take(attempt: number, point: Point): void {
    if (attempt > this.attempt && this.attempt > 0) this.charts = new Map(); // the job was retried
    this.attempt = attempt;
    add(this.charts, point);
  }

  /** Points come in crowds; four pictures in a second are enough. */
  private redraw(): void {
    this.timer ??= setTimeout(() => { this.timer = undefined; this.draw(); }, 250);
  }
}

/** For a look at jobs that have ended: which charts there are. */
export const namesOf = async (path: JobPath): Promise<string[]> =>
  (await call('chart.list', { path })).items.map((chart) => chart.name);
