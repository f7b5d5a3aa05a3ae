// usage.tsx - charts of what a job uses of its hardware, and what limits it
import { useEffect, useMemo, useReducer, useState } from 'preact/hooks';
import type * as Api from '#declared/api';
import { command, curl } from '../cli';
import { bytes, figure, plural } from '../format';
import type { JobPath } from '../log';
import { seriesOf, Usage } from '../usage';
import type { Line } from './chart';
import { useChart } from './chart-board';
import { Command, Empty, Trouble } from './parts';
import { rankFlags } from './ranks';

type Pick = (point: Api.Use) => number | undefined;
interface Board { title: string; lines: [string, Pick][]; format: (value: number | null | undefined) => string; reach: number; binary?: boolean }

const size = (value: number | null | undefined): string => value === null || value === undefined ? '–' : bytes(value);
const speed = (value: number | null | undefined): string => value === null || value === undefined ? '–' : `${bytes(value)}/s`;
const part = (value: number | null | undefined): string => value === null || value === undefined ? '–' : `${Math.round(100 * value)} %`;
const with_ = (unit: string) => (value: number | null | undefined): string => `${figure(value)} ${unit}`;

/** What there is to draw; GPUs get lines of their own when the job has some. */
function boardsOf(usage: Usage, points: Api.Use[]): Board[] {
  const gpus = points.at(-1)?.gpus ?? [];
  const each = (pick: (gpu: Api.GpuUse) => number | undefined): [string, Pick][] =>
    gpus.map((gpu, i): [string, Pick] => [gpus.length === 1 ? 'GPU' : `GPU ${i}`, (point) => { const one = point.gpus?.find((other) => other.uuid === gpu.uuid); return one && pick(one); }]);
  const boards: Board[] = [
    { title: 'Cores', format: figure, reach: usage.cores, lines: [['busy', (p) => p.cores], ['waiting for a disk', (p) => p.cores_waiting],
      ...(points.some((p) => p.cores_others) ? [['busy with something else', (p: Api.Use) => p.cores_others] as [string, Pick]] : [])] },
    { title: 'Memory', format: size, binary: true, reach: usage.memory, lines: [['in use', (p) => p.memory]] },
    { title: 'Disk', format: speed, binary: true, reach: 0, lines: [['read', (p) => p.read], ['written', (p) => p.write]] },
  ];
  if (!gpus.length) return boards;
  return [
    { title: 'GPU', format: part, reach: 1, lines: each((gpu) => gpu.busy) },
    ...boards,
    { title: 'GPU memory', format: size, binary: true, reach: 0, lines: each((gpu) => gpu.memory) },
    { title: 'GPU power', format: with_('W'), reach: 0, lines: each((gpu) => gpu.power) },
    { title: 'GPU temperature', format: with_('°C'), reach: 0, lines: each((gpu) => gpu.temperature) },
  ];
}

/** RANK: of one task of many; all together when left out. */
export function UsageBoard({ path, live, attempt, rank }: { path: JobPath; live: boolean; attempt: number; rank?: number }) {
  const Chart = useChart();
  const [version, draw] = useReducer((n: number) => n + 1, 0);
  const [whole, setWhole] = useState(!live);
  const usage = useMemo(() => new Usage(path, () => draw(undefined as never), live, rank), [path.project, path.job, live, attempt, rank]);
  useEffect(() => () => usage.close(), [usage]);
  const points = whole || !live ? usage.history : usage.live;
  const lines = (board: Board): Line[] => board.lines.map(([name, pick], place) =>
    ({ name, colour: place, dashed: false, series: seriesOf(points, name, pick) })).filter((line) => line.series.x.length > 0);
  return (
    <section class="board" aria-label="Use of the hardware">
      <div class="bar">
        {usage.limit ? <p class="limit" role="status"><strong>What limits it</strong> {usage.limit.text}<span class="faint"> · rule <code>{usage.limit.rule}</code></span></p>
          : <span class="faint">{usage.loaded && !usage.problem && `of ${plural(usage.cores, 'core')} and ${bytes(usage.memory)}`}</span>}
        <span class="spring" />
        {live && <div class="chips" role="group" aria-label="Span">
          <button class="chip" aria-pressed={!whole} onClick={() => setWhole(false)}>Last minutes</button>
          <button class="chip" aria-pressed={whole} onClick={() => setWhole(true)}>Whole run</button></div>}
        <Command behind={() => ({ cli: command('job.metrics', path, rankFlags(rank)), curl: curl('job.metrics', { path, query: { rank, follow: live || undefined } }) })} />
      </div>
      {usage.problem && <Trouble reason={usage.problem} />}
      {usage.loaded && !usage.problem && points.length === 0
        ? <Empty title={live ? 'No sample yet' : 'It ran too short for a sample'} />
        : <div class="charts charts-small">{Chart && boardsOf(usage, points).map((board) => {
            const drawn = lines(board);
            return drawn.length > 0 && <Chart key={board.title} title={board.title} lines={drawn} version={version} sync={path.job}
              look={{ smoothing: 0, log: false, byTime: true, format: board.format, reach: board.reach, binary: board.binary ?? false }} />;
          })}</div>}
    </section>
  );
}
