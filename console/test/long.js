// long.js - 100,000 jobs and a log of 1,000,000 lines: only what is in sight exists, and all of it can be reached
//
// Times of frames are said, not tested: they are the machine's.
import { strictEqual as is, ok } from 'node:assert';
import { base, open, shot, signIn } from './browser.js';

const JOBS = Number(process.env.BERTH_TEST_JOBS);
const LINES = 1_000_000;
const { page, walk } = await open();

/** Scroll BOX through all that there is, a step a frame, and say how long frames and tasks were. */
async function scroll(box, name) {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const busy = async () => (await session.send('Performance.getMetrics')).metrics.find((one) => one.name === 'TaskDuration').value;
  const before = await busy();
  const found = await box.evaluate(async (element) => {
    const tasks = [];
    const observer = new PerformanceObserver((list) => tasks.push(...list.getEntries().map((entry) => entry.duration)));
    observer.observe({ type: 'longtask' });
    const frames = [];
    const frame = () => new Promise(requestAnimationFrame);
    const STEPS = 240;
    let before = await frame();
    for (let step = 0; step <= STEPS; step++) {
      element.scrollTop = (element.scrollHeight - element.clientHeight) * step / STEPS;
      const now = await frame();
      frames.push(now - before);
      before = now;
    }
    await frame();
    observer.disconnect();
    frames.sort((a, b) => a - b);
    const at = (part) => frames[Math.min(frames.length - 1, Math.floor(frames.length * part))].toFixed(1);
    return { count: frames.length, median: at(0.5), p95: at(0.95), longest: at(1), tasks: tasks.length, worst: Math.max(0, ...tasks).toFixed(0) };
  });
  const cpu = ((await busy() - before) * 1000 / found.count).toFixed(1);
  console.log(`# ${name}: ${cpu} ms of CPU a frame; ${found.median} ms a frame (median), ${found.p95} ms p95, ${found.longest} ms longest; ${found.tasks} tasks over 50 ms${found.tasks ? `, longest ${found.worst} ms` : ''}`);
}

const elements = () => page.evaluate(() => document.querySelectorAll('#app *').length);

await walk(async () => {
  await signIn(page, '/console/p/lab/jobs?name=filled-');
  const grid = page.getByRole('grid', { name: 'Jobs' });
  const list = grid.locator('.virtual');
  await grid.getByRole('link').first().waitFor();
  is(await grid.getByRole('link').first().textContent(), `filled-${JOBS - 1}`);

  // The end is reached by one key, again and again: pages come as one goes.
  await grid.getByRole('link').first().focus();
  const rows = async () => Number(await grid.getAttribute('aria-rowcount'));
  while (await rows() === -1) {
    const loaded = await list.evaluate((element) => element.scrollHeight);
    await page.keyboard.press('End');
    await page.waitForFunction(([height]) => {
      const box = document.querySelector('[aria-label="Jobs"] .virtual');
      return box.scrollHeight > height || box.parentElement.getAttribute('aria-rowcount') !== '-1';
    }, [loaded]);
  }
  is(await rows(), JOBS + 1);
  await page.keyboard.press('End');
  await page.getByRole('link', { name: 'filled-0', exact: true }).waitFor();
  ok(await elements() < 1500);
  await scroll(list, `list of ${JOBS} jobs`);
  ok(await elements() < 1500);
  await shot(page, 'long-list');

  await page.goto(`${base}/console/p/lab/jobs/lines`);
  await page.getByText(`${LINES.toLocaleString('en-US').replaceAll(',', '\u202f')} lines`).waitFor();
  const lines = page.getByRole('log');
  await lines.getByText(`line ${LINES}`, { exact: true }).waitFor();
  await scroll(lines, `log of ${LINES} lines`);
  ok(await elements() < 1500);
  await lines.evaluate((element) => { element.scrollTop = 0; });
  await lines.getByText('line 1', { exact: true }).waitFor();
  for (const line of [500_000, 765_432]) {
    await page.getByLabel('Line', { exact: true }).fill(String(line));
    await page.keyboard.press('Enter');
    await lines.getByText(`line ${line}`, { exact: true }).waitFor();
  }
  await page.getByLabel('Search the log').fill('line 654321');
  await page.keyboard.press('Enter');
  await page.getByText('1 of 1').waitFor();
  await lines.getByText('line 654321', { exact: true }).waitFor();
  await shot(page, 'long-log');
});
