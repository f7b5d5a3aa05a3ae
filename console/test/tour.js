// tour.js - what a person does first: sign in, look at the jobs, follow one, stop it
import { strictEqual as is, ok } from 'node:assert';
import { base, ended, key, open, shot, signIn, submit } from './browser.js';

const { page, complaints, walk } = await open();
await walk(async () => {
  // A wrong key is refused in words, and nothing of it is kept.
  await page.goto(`${base}/`);
  await page.getByLabel('Key', { exact: true }).fill('berth_wrong');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByText('not known here').waitFor();
  is(await page.evaluate(() => sessionStorage.length), 0);
  is(complaints.splice(0).filter((text) => !/401/.test(text)).length, 0);
  await shot(page, 'sign-in');
  await signIn(page);
  await page.getByText('No jobs yet').waitFor();
  await page.getByText('live', { exact: true }).waitFor();

  // What others submit appears, and its state changes, without a reload.
  const job = await submit({ name: 'train', tags: { exp: 'a' }, command: ['sh', '-c',
    'i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo "step $i"; sleep 0.02; done; exec sleep 1000'] });
  const row = page.getByRole('row', { name: /train/ });
  await row.getByText('running').waitFor();
  const other = await submit({ name: 'other', command: ['true'] });
  await ended(other.id);
  await page.getByRole('row', { name: /other/ }).getByText('succeeded').waitFor();
  await shot(page, 'jobs');

  // Filters are in the address.
  await page.getByRole('button', { name: 'running' }).click();
  await page.getByRole('link', { name: 'other' }).waitFor({ state: 'detached' });
  ok(page.url().endsWith('?state=running'));

  // The log is there from its first line and goes on.
  await page.getByRole('link', { name: 'train' }).click();
  await page.getByText('step 50', { exact: true }).waitFor();
  await page.getByText('50 lines').waitFor();
  await shot(page, 'job');

  // Every action shows its command; this one is done.
  await page.getByRole('button', { name: 'Stop…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Command' }).click();
  await dialog.getByText(`berth stop --project lab ${job.id}`, { exact: true }).waitFor();
  await dialog.getByText(`/v1/projects/lab/jobs/${job.id}/stop`).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Stop…' }).click();
  await page.getByRole('button', { name: 'Stop it' }).click();
  await page.getByRole('list', { name: 'States so far' }).getByText('stopped').waitFor();
  is((await ended(job.id)).state, 'stopped');

  // The key is this tab's alone, and goes when one signs out.
  is(await page.evaluate(() => document.cookie), '');
  is(await page.evaluate(() => sessionStorage.getItem('berth.key')), key);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Key', { exact: true }).waitFor();
  is(await page.evaluate(() => sessionStorage.length), 0);
});
