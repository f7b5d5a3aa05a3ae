// data.js - datasets with their versions and what read them, images, a shell in a running job
import { strictEqual as is } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { base, check, ended, open, shot, signIn, submit } from './browser.js';

const { page, walk } = await open();
const berth = (...words) => execFileSync('berth', words, { encoding: 'utf8' });

await walk(async () => {
  rmSync('words', { recursive: true, force: true });
  mkdirSync('words/sub', { recursive: true });
  writeFileSync('words/a', 'alpha\n');
  writeFileSync('words/sub/b', 'beta\n');
  berth('dataset', 'push', 'words', 'words', '-m', 'first words', '--tag', 'lang=en');
  writeFileSync('words/a', 'alpha, again\n');
  writeFileSync('words/c', 'gamma\n');
  berth('dataset', 'push', 'words', 'words', '-m', 'more words');
  const reader = await submit({ name: 'reads', datasets: ['words@1'], output_datasets: ['letters'],
    command: ['sh', '-c', 'mkdir -p /artifacts/letters && cat /datasets/words/a | tee /artifacts/letters/all'] });
  is((await ended(reader.id)).state, 'succeeded');

  // From the list into one: its versions, its files, what changed, who read it.
  await signIn(page);
  await page.getByRole('link', { name: 'Datasets' }).click();
  await page.getByRole('cell', { name: 'words@2' }).waitFor();
  await check(page, 'datasets');
  await page.getByRole('link', { name: 'words', exact: true }).click();
  await page.getByRole('cell', { name: 'first words' }).waitFor();
  await check(page, 'dataset');
  await page.getByRole('button', { name: 'Changes of version 2 of words' }).click();
  await page.getByRole('row', { name: /^added c/ }).waitFor();
  await page.getByRole('row', { name: /^changed a 6 B 13 B/ }).waitFor();
  await check(page, 'dataset-changes');
  await page.getByRole('tab', { name: /Jobs/ }).click();
  await page.getByRole('row', { name: /reads succeeded read 1/ }).waitFor();
  await page.getByRole('tab', { name: 'Files' }).click();
  await page.getByLabel('Path, or a pattern').fill('sub/*');
  await page.getByText('1 file', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'View sub/b' }).click();
  await page.getByRole('dialog').getByText('beta').waitFor();
  await page.keyboard.press('Escape');
  await check(page, 'dataset-files');

  // The job says the same from its side, and leads to what it made.
  await page.getByRole('tab', { name: /Jobs/ }).click();
  await page.getByRole('link', { name: 'reads' }).click();
  await page.getByRole('tab', { name: 'Details' }).click();
  await page.getByRole('link', { name: 'words@1' }).waitFor();
  await page.getByRole('link', { name: 'letters@1' }).click();
  await page.getByRole('cell', { name: 'reads' }).waitFor();
  await page.getByRole('link', { name: 'Use in a job' }).click();
  await page.locator('[data-snippet="Command line"]').getByText('--dataset letters').waitFor();
  await page.getByRole('button', { name: 'Submit', exact: true }).waitFor();

  if (process.env.BERTH_TEST_IMAGE) {
    berth('image', 'import', process.env.BERTH_TEST_IMAGE, '--name', 'tiny:1');
    await page.getByRole('link', { name: 'Images' }).click();
    await page.getByRole('row', { name: /tiny:1 ready/ }).waitFor();
    await check(page, 'images');
    await page.getByRole('link', { name: 'Use' }).click();
    await page.locator('[data-snippet="Command line"]').getByText('--image localhost/tiny:1').waitFor();
  }

  // A registry that wants a login: the reason is said, a login is given, the pull is seen to its end.
  const registry = process.env.BERTH_TEST_REGISTRY;
  if (registry) {
    const pull = async () => {
      await page.getByRole('button', { name: 'Pull an image' }).click();
      await page.getByLabel('Reference').fill(`${registry}/lib/one:1`);
      await page.getByRole('button', { name: 'Pull', exact: true }).click();
    };
    await page.goto(`${base}/console/p/lab/images`);
    await pull();
    await page.getByText(/wants a login/).first().waitFor();
    await page.goto(`${base}/console/p/lab/images`);
    await page.getByRole('button', { name: 'Registry login' }).click();
    await page.getByLabel('Registry', { exact: true }).fill(registry);
    await page.getByLabel('User').fill('demo');
    await page.getByLabel('Password or token').fill('s3cret');
    await check(page, 'registry-login');
    await page.getByRole('dialog').getByRole('button', { name: 'Command', exact: true }).click();
    const command = await page.getByRole('dialog').locator('pre').first().textContent();
    execFileSync('sh', ['-c', command], { input: 's3cret\n' });
    await page.getByRole('dialog').getByRole('button', { name: 'Command', exact: true }).click();
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('is kept, sealed').waitFor();
    await pull();
    const row = page.getByRole('row', { name: new RegExp(`${registry}/lib/one:1`) });
    await row.getByText('ready').waitFor();
    page.once('dialog', (dialog) => void dialog.accept());
    await row.getByRole('button', { name: 'Delete' }).click();
    await row.waitFor({ state: 'detached' });
  }

  // A shell: what is typed runs in the job; colours need no style of ours loosened.
  const sleeper = await submit({ name: 'sleeper', command: ['sh', '-c', 'exec sleep 1000'] });
  await page.goto(`${base}/console/p/lab/jobs/${sleeper.id}`);
  await page.getByRole('tab', { name: 'Shell' }).click();
  await page.getByText('connected', { exact: true }).waitFor();
  await page.keyboard.type('printf "\\033[31mred\\033[0m %s\\n" $((6 * 7))\n');
  await page.locator('.xterm-rows').getByText('red 42').waitFor();
  await check(page, 'shell');
  await page.keyboard.type('exit 7\n');
  await page.getByText('the shell ended with 7').waitFor();
  await page.getByRole('button', { name: 'New shell' }).click();
  await page.getByText('connected', { exact: true }).waitFor();
  await page.keyboard.type('while :; do :; done\n');

  // What it uses comes each second, with the verdict in words; the machine's page says it of every job.
  await page.getByRole('tab', { name: 'Hardware' }).click();
  await page.getByText('What limits it').waitFor();
  await page.getByRole('img', { name: /^Chart Cores; newest values: busy: [0-9.]+/ }).waitFor();
  await page.getByRole('img', { name: /^Chart Memory; newest values: in use: [0-9.]+ [KM]iB/ }).waitFor();
  await check(page, 'hardware');
  await page.getByRole('link', { name: 'Machines' }).click();
  await page.getByRole('row', { name: /^sleeper [0-9.]+ of 1/ }).waitFor();
  await page.getByRole('meter', { name: 'Cores, now' }).waitFor();
  await check(page, 'machines-busy');
  await page.getByRole('link', { name: 'sleeper' }).last().click();
  await page.getByRole('tab', { name: 'Hardware', selected: true }).waitFor();
  berth('stop', sleeper.id);
  await page.getByRole('list', { name: 'States so far' }).getByText('stopped').waitFor();
});
