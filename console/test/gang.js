// gang.js - a job of many tasks: its ranks, their logs as one, their charts, and the hardware of all or one
import { strictEqual as is, ok } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { check, ended, open, shot, signIn, submit } from './browser.js';

const { page, walk } = await open();
const rank = page.getByLabel('Rank', { exact: true });
const tab = (name) => page.getByRole('tab', { name }).click();

await walk(async () => {
  const pair = await submit({ name: 'pair', cpus: undefined, memory: undefined, flavor: 'cpu.shared', tasks_per_node: 2, roles: [{ name: 'lead' }, { name: 'worker' }],
    command: ['sh', '-c', `echo "I am $RANK"; echo "{\\"chart\\":\\"loss\\",\\"x\\":0,\\"y\\":4$RANK}"; until [ -e /storage/over$RANK ]; do sleep 0.05; done; exit $((RANK * 7))`] });
  await signIn(page, `/console/p/lab/jobs/${pair.id}`);

  // The logs of all at once, each line after its rank; or one of them, with all that the log of a job has.
  const lines = page.getByRole('log');
  await lines.getByText('I am 0', { exact: true }).waitFor();
  await lines.getByText('I am 1', { exact: true }).waitFor();
  ok((await lines.innerText()).replace(/\s+/g, ' ').includes('[1] I am 1'));
  await check(page, 'gang-log');
  await rank.selectOption('1 worker');
  await lines.getByText('I am 0', { exact: true }).waitFor({ state: 'detached' });
  await page.getByLabel('Search the log').fill('AM 1');
  await page.keyboard.press('Enter');
  await page.getByText('1 of 1').waitFor();

  await tab('Charts');
  await page.getByRole('img', { name: 'Chart loss; newest values: loss: 41' }).waitFor();
  await rank.selectOption('all');
  await page.getByRole('img', { name: 'Chart loss; newest values: rank 0: 40, rank 1: 41' }).waitFor();

  await tab(/Ranks/);
  const worker = page.getByRole('row', { name: /^1 worker running .* of [0-9]/ });
  await worker.waitFor();
  await check(page, 'gang-ranks');
  await worker.getByRole('button', { name: 'Hardware of rank 1' }).click();
  await page.getByText('read back').waitFor();
  await page.getByRole('img', { name: /^Chart Memory; newest values: in use/ }).waitFor();
  await rank.selectOption('all');
  await page.getByText('CPU time').waitFor({ state: 'detached' });
  await page.getByText('Tasks', { exact: true }).waitFor();
  await check(page, 'gang-hardware');

  // Which rank failed first, and how.
  await tab(/Ranks/);
  const release = (number) => execFileSync('berth', ['run', '--source', 'none', '--flavor', 'cpu.shared', '--', 'touch', `/storage/over${number}`], { stdio: 'ignore' });
  release(0);
  await page.getByRole('row', { name: /^0 lead succeeded exit code 0/ }).waitFor();
  release(1);
  is((await ended(pair.id)).exit_code, 7);
  await page.getByRole('row', { name: /^1 worker failed exit code 7 · the first to fail/ }).waitFor();
  await shot(page, 'gang-ended');

  // The command shown beside the log of all prints it.
  await tab('Log');
  const log = page.getByRole('region', { name: 'Log' });
  await log.getByText('4 lines').waitFor();
  await log.getByRole('button', { name: 'Command', exact: true }).click();
  const said = execFileSync('sh', ['-c', await log.locator('.snippet pre').first().textContent()], { encoding: 'utf8' });
  ok(said.includes('[0] I am 0\n') && said.includes('[1] I am 1\n'), said);

  // So are those of an attempt.
  await tab('Attempts');
  await page.getByRole('button', { name: 'Log', exact: true }).click();
  await lines.getByText('I am 1', { exact: true }).waitFor();
  await log.getByRole('button', { name: 'Command', exact: true }).click();
  await log.getByText(`berth logs --project lab ${pair.id} --attempt 1`, { exact: true }).waitFor();
});
