// chart-board.tsx - all charts of one job, or of several on top of each other
import { useEffect, useMemo, useReducer, useState } from 'preact/hooks';
import type { ComponentChildren } from 'preact';
import type ChartType from './chart';
import type { Line, Look } from './chart';
import { Points, type Series } from '../series';
import { Empty, Trouble } from './parts';
import { RankChoice, useRank, type Task } from './ranks';

/** uPlot comes with the first chart. */
let loaded: typeof ChartType | null = null;
export function useChart(): typeof ChartType | null {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    if (!loaded) void import('./chart').then((module) => { loaded = module.default; again(undefined as never); });
  }, []);
  return loaded;
}

export interface Shown { id: string; name: string }

const NO_TASKS: Task[] = [];
const rankIn = (series: Series): number => Number(/(?:^| )rank=(\d+)/.exec(series.label)?.[1] ?? 0);

/** A colour for each rank, in each chart the same; what else tells lines of a rank apart is dashed. */
function linesOfRanks(all: Series[], title: string): Line[] {
  const sorted = [...all].sort((a, b) => rankIn(a) - rankIn(b));
  return sorted.map((series, i) => ({
    name: series.label.replace(/(^| )rank=/, '$1rank ') || title, colour: rankIn(series),
    dashed: i > 0 && rankIn(sorted[i - 1]!) === rankIn(series), series,
  }));
}

interface Props { project: string; jobs: Shown[]; live: boolean; extra?: ComponentChildren; tasks?: Task[] }

/** TASKS of the one job, when it has many: their lines, or those of one of them. */
export function ChartBoard({ project, jobs, live, extra, tasks = NO_TASKS }: Props) {
  const Chart = useChart();
  const [version, draw] = useReducer((n: number) => n + 1, 0);
  const [look, setLook] = useState<Look>({ smoothing: 0, log: false, byTime: false });
  const rank = useRank(tasks);
  const many = tasks.length > 1 && rank === undefined;
  const key = `${jobs.map((job) => job.id).join(',')} ${many ? 'all' : rank ?? ''}`;
  const sources = useMemo(() => jobs.map((job) => new Points({ project, job: job.id }, () => draw(undefined as never), many ? 'all' : rank)), [project, key]);
  useEffect(() => () => sources.forEach((source) => source.close()), [sources]);

  const titles = [...new Set(sources.flatMap((source) => [...source.charts.keys()]))];
  const linesOf = (title: string): Line[] => many ? linesOfRanks([...(sources[0]?.charts.get(title)?.values() ?? [])], title) : sources.flatMap((source, number) =>
    [...(source.charts.get(title)?.values() ?? [])].map((series, place): Line => ({
      name: [jobs.length > 1 && jobs[number]!.name, series.label].filter(Boolean).join(' ') || title,
      colour: jobs.length > 1 ? number : place, dashed: jobs.length > 1 && place > 0, series,
    })));
  const problem = sources.find((source) => source.problem && source.problem.status >= 400)?.problem;
  return (
    <section class="board" aria-label="Charts">
      <div class="bar">
        <RankChoice tasks={tasks} rank={rank} />
        <label class="inline">Smoothing <input type="range" min="0" max="0.99" step="0.01" value={look.smoothing} onInput={(e) => setLook({ ...look, smoothing: Number(e.currentTarget.value) })} /></label>
        <label class="inline"><input type="checkbox" checked={look.log} onChange={(e) => setLook({ ...look, log: e.currentTarget.checked })} /> logarithmic</label>
        <label class="inline"><input type="checkbox" checked={look.byTime} onChange={(e) => setLook({ ...look, byTime: e.currentTarget.checked })} /> by time</label>
        <span class="spring" />
        {extra}
      </div>
      {problem && <Trouble reason={problem} />}
      {titles.length === 0
        ? sources.every((source) => source.loaded || source.problem) && <Empty title={live ? 'No points yet' : 'No points'}>
            <p>A line on stdout such as <code>{'{"chart": "loss", "x": 10, "y": 2.31}'}</code> is a point of a chart.</p></Empty>
        : <div class="charts">{Chart && titles.map((title) =>
            <Chart key={title} title={title} lines={linesOf(title)} look={look} sync={key} version={version} />)}</div>}
    </section>
  );
}
