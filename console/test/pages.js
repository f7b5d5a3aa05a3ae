// pages.js - every page: usable by keyboard and screen reader, its commands do what they say
import { strictEqual as is, ok, deepStrictEqual as same } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { api, base, check, ended, open, shot, signIn, submit } from './browser.js';

const { page, walk } = await open({ acceptDownloads: true });

await walk(async () => {
  const train = await submit({ name: 'model', tags: { lr: '0.1' }, command: ['sh', '-c', `i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo "step $i";
    echo "{\\"chart\\":\\"loss\\",\\"x\\":$i,\\"y\\":$((100/i))}"; done; echo needle; mkdir /artifacts/out; echo 42 >/artifacts/out/answer.txt`] });
  await ended(train.id);
  await signIn(page);
  await page.getByRole('link', { name: 'model' }).waitFor();
  await check(page, 'jobs');

  // The list by keyboard: to the first job, and into it.
  await page.getByRole('link', { name: 'model' }).focus();
  await page.keyboard.press('Enter');
  await page.getByRole('tab', { name: 'Log' }).waitFor();
  await page.getByText('step 60').waitFor();
  await check(page, 'job');

  // Search: the slash key, the server looks, matches are marked.
  await page.keyboard.press('/');
  await page.keyboard.type('NEEDLE');
  await page.keyboard.press('Enter');
  await page.getByText('1 of 1').waitFor();
  is(await page.locator('mark').textContent(), 'needle');

  await page.getByRole('tab', { name: 'Log' }).focus();
  await page.keyboard.press('ArrowRight');
  await page.getByRole('img', { name: /Chart loss; newest values: loss: 1/ }).waitFor();
  await check(page, 'charts');

  await page.getByRole('tab', { name: /Artifacts/ }).click();
  await page.getByText('out/answer.txt').waitFor();
  await check(page, 'artifacts');
  const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download out/answer.txt' }).click()]);
  is(readFileSync(await download.path(), 'utf8'), '42\n');
  is(download.suggestedFilename(), 'answer.txt');
  await page.getByRole('button', { name: 'View out/answer.txt' }).click();
  await page.getByRole('dialog').getByText('42').waitFor();
  await page.keyboard.press('Escape');

  await page.getByRole('tab', { name: 'Attempts' }).click();
  await page.getByText('"image_digest"').waitFor();
  await check(page, 'attempts');
  await page.getByRole('tab', { name: 'Hardware' }).click();
  await page.getByText('read back').waitFor();
  await page.getByRole('tab', { name: 'Details' }).click();
  await page.getByText('What was asked for').waitFor();
  await check(page, 'details');

  // The form is made of the declaration; what it refuses it says at the field.
  await page.getByRole('link', { name: 'Submit like this' }).click();
  await page.getByLabel('Name', { exact: true }).waitFor();
  is(await page.getByLabel('Name', { exact: true }).inputValue(), 'model');
  await page.getByLabel('Command', { exact: true }).fill('echo "it\'s $HOME"');
  await page.getByLabel('CPUs', { exact: true }).fill('99');
  await page.getByText('it needs 99 cores').waitFor();
  await page.getByLabel('Memory').fill('none');
  await page.locator('#field-memory-help.bad').waitFor();
  await page.getByLabel('Memory').fill('128Mi');
  await page.getByLabel('CPUs', { exact: true }).fill('1');
  await page.getByText('It starts at once').waitFor();
  await check(page, 'new-job');

  // The command beside the form makes the same job.
  const command = await page.locator('[data-snippet="Command line"]').textContent();
  const typed = execFileSync('sh', ['-c', `${command} `], { encoding: 'utf8', cwd: '/' });
  await page.getByRole('button', { name: 'Submit', exact: true }).click();
  await page.getByRole('list', { name: 'States so far' }).waitFor();
  const pressed = page.url().split('/').at(-1);
  const [mine, theirs] = await Promise.all([ended(pressed), api('GET', `/v1/projects/lab/jobs/${/[0-9a-f]{8}-[0-9a-f-]{27}/.exec(typed)[0]}`)]);
  same({ ...mine.spec, tags: mine.tags, name: mine.name }, { ...theirs.spec, tags: theirs.tags, name: theirs.name });
  is(mine.state, 'succeeded');

  // Several jobs in one chart.
  await page.goto(`${base}/console/p/lab/compare?jobs=${train.id},${pressed}`);
  await page.getByRole('img', { name: /Chart loss/ }).waitFor();
  await check(page, 'compare');

  for (const [name, path, seen] of [['queue', 'p/lab/queue', 'Nothing waits or runs'], ['machines', 'machines', 'This machine'], ['keys', 'keys', 'New key']]) {
    await page.goto(`${base}/console/${path}`);
    await page.getByText(seen).first().waitFor();
    await check(page, name);
  }

  // Who waits: in the queue, on its own page, and as a form that can be made to begin at once.
  const cores = (await api('GET', '/v1/nodes')).items[0].cores.length;
  const hog = await submit({ name: 'hog', command: ['sleep', '600'] });
  const blocks = await submit({ name: 'blocks', cpus: cores, command: ['true'] });
  const behind = await submit({ name: 'behind', cpus: cores, command: ['true'] });
  await page.goto(`${base}/console/p/lab/queue`);
  await page.getByRole('row', { name: new RegExp(`^2 queued behind ${cores} cores, 256.* MiB \\? needs ${cores} cores`) }).waitFor();
  await check(page, 'queue-waiting');
  await page.getByLabel('All projects').check();
  await page.getByRole('row', { name: /lab \/ behind/ }).waitFor();
  await page.getByRole('link', { name: 'behind' }).click();
  await page.getByText('1 job before it').waitFor();
  await page.getByRole('link', { name: 'blocks' }).waitFor();
  await page.getByText('add a machine like').waitFor();
  await check(page, 'job-waiting');
  await page.getByRole('link', { name: 'Submit like this' }).click();
  await page.getByRole('button', { name: /Use it: ask for \d+ cores? instead of/ }).click();
  await page.getByText('It starts at once').waitFor();
  is(await page.getByLabel('CPUs', { exact: true }).inputValue(), String(cores - 1));
  for (const { id } of [behind, blocks, hog]) await api('POST', `/v1/projects/lab/jobs/${id}/stop`, { grace: 0 });

  // A secret goes in; it is named, never shown.
  await page.goto(`${base}/console/p/lab/secrets`);
  await page.getByRole('button', { name: 'New secret' }).click();
  await page.getByLabel('Name').fill('TOKEN');
  await page.getByLabel('Value').fill('hunter2');
  await page.getByRole('button', { name: 'Set' }).click();
  await page.getByRole('cell', { name: 'TOKEN', exact: true }).waitFor();
  ok(!(await page.content()).includes('hunter2'));
  await check(page, 'secrets');
}, /status of 4(00|22)/);
