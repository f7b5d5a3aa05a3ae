// chart.tsx - one chart: lines of one or several jobs, drawn by uPlot; loaded when there is something to draw
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { duration, figure } from '../format';
import { smooth, thin, type Series } from '../series';

export interface Line { name: string; colour: number; dashed: boolean; series: Series }
export interface Look {
  smoothing: number;
  log: boolean;
  byTime: boolean;
  /** Values as people read them; figures when left out. */
  format?: (value: number | null | undefined) => string;
  /** The axis begins at 0 and reaches at least here. */
  reach?: number;
  /** Steps of the axis are powers of two. */
  binary?: boolean;
}

const DRAWN_MAX = 4000;
const BINARY = Array.from({ length: 50 }, (_, power) => 2 ** power);
const colours = ['--c1', '--c2', '--c3', '--c4', '--c5', '--c6', '--c7', '--c8'];
export const colourName = (number: number): string => colours[number % colours.length]!;

const css = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Lines on one axis: every x of any of them, and each line's value there. */
function joined(lines: Line[], look: Look): uPlot.AlignedData {
  const tables = lines.map(({ series }): uPlot.AlignedData => {
    const start = series.t[0] ?? 0;
    const x = look.byTime ? series.t.map((t) => t - start) : series.x;
    const [thinX, thinY] = thin(x, smooth(series.y, look.smoothing), DRAWN_MAX);
    return [thinX, look.log ? thinY.map((y) => y !== null && y > 0 ? y : null) : thinY];
  });
  return tables.length === 1 ? tables[0]! : uPlot.join(tables);
}

/** From 0, so that what is used is seen as a part of what there is. */
const fromZero = (reach: number) => (_: uPlot, __: number | null, most: number | null): [number, number] => [0, Math.max(reach, 1.05 * (most ?? 0)) || 1];

function options(lines: Line[], look: Look, width: number, height: number, sync: string): uPlot.Options {
  const format = look.format ?? figure;
  const grid = { stroke: css('--line-soft'), width: 1 };
  const axis: uPlot.Axis = { stroke: css('--faint'), grid, ticks: { ...grid, size: 4 }, font: '11px system-ui, sans-serif', size: 26, gap: 3 };
  return {
    width, height,
    cursor: { sync: { key: sync }, points: { size: 5 }, drag: { x: true, y: false } },
    legend: { show: lines.length <= 10, live: true },
    scales: { x: { time: false }, y: { distr: look.log ? 3 : 1, range: look.reach === undefined ? undefined : fromZero(look.reach) } },
    axes: [
      { ...axis, values: (_, splits) => splits.map((value) => look.byTime ? duration(value) : figure(value)) },
      { ...axis, size: look.format ? 68 : 54, ...(look.binary ? { incrs: BINARY } : {}), values: (_, splits) => splits.map((value) => value === null ? '' : format(value)) },
    ],
    series: [
      { label: look.byTime ? 'time' : 'x', value: (_, value) => look.byTime ? duration(value) : figure(value) },
      ...lines.map((line): uPlot.Series => ({
        label: line.name, stroke: css(colourName(line.colour)), width: 1.5, spanGaps: true,
        points: { show: line.series.x.length < 40, size: 4 },
        dash: line.dashed ? [5, 4] : undefined,
        value: (_, value) => format(value),
      })),
    ],
    padding: [10, 18, 0, 0],
  };
}

export default function Chart({ title, lines, look, sync, version }: { title: string; lines: Line[]; look: Look; sync: string; version: number }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const shape = `${lines.map((line) => `${line.name}:${line.colour}`).join('|')} ${look.log} ${look.byTime} ${look.reach}`;
  useEffect(() => {
    const element = box.current!;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(lines, look, element.clientWidth, 190, sync), joined(lines, look), element);
    };
    make();
    const resized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: 190 }));
    resized.observe(element);
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const theme = new MutationObserver(make);
    theme.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] });
    dark.addEventListener('change', make);
    return () => {
      resized.disconnect();
      theme.disconnect();
      dark.removeEventListener('change', make);
      plot.current?.destroy();
      plot.current = null;
    };
  }, [shape, sync]);
  useEffect(() => { plot.current?.setData(joined(lines, look)); }, [version, look.smoothing, shape]);
  const format = look.format ?? figure;
  const last = lines.map((line) => `${line.name}: ${format(line.series.y.at(-1))}`).join(', ');
  return (
    <figure class="chart">
      <figcaption><strong>{title}</strong>{lines.length === 1 && <span class="faint num">{format(lines[0]!.series.y.at(-1))}</span>}</figcaption>
      <div ref={box} role="img" aria-label={`Chart ${title}; newest values: ${last}`} />
    </figure>
  );
}
