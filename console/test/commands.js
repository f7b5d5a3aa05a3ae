// commands.js - every command that the console shows does what the console does: each is run as it was copied
import { strictEqual as is, ok, deepStrictEqual as same } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { api, base, check, ended, key, open, shot, signIn, submit } from './browser.js';

const { context, page, walk } = await open();
await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: base });

const sh = (text, input) => execFileSync('sh', ['-c', text], { encoding: 'utf8', input: input ?? '', env: { ...process.env, BERTH_KEY: key }, stdio: ['pipe', 'pipe', 'inherit'] });
const json = (text) => JSON.parse(sh(text));

/** What the button Command in SCOPE shows, by way of the clipboard. */
async function behind(scope = page.locator('header.page-head')) {
  await scope.getByRole('button', { name: 'Command', exact: true }).first().click();
  const box = scope.getByRole('group', { name: 'Command and API call' });
  const copied = [];
  for (const what of ['Command line', 'API']) {
    await box.locator('.snippet', { has: page.getByText(what, { exact: true }) }).getByRole('button', { name: 'Copy' }).click();
    copied.push(await page.evaluate(() => navigator.clipboard.readText()));
  }
  is(copied.join('\n'), (await box.locator('pre').allTextContents()).join('\n'));
  await scope.getByRole('button', { name: 'Command', exact: true }).first().click();
  return { cli: copied[0], curl: copied[1] };
}

const state = async (id) => (await api('GET', `/v1/projects/lab/jobs/${id}`)).state;
const at = () => page.url().split('?')[0].split('/').at(-1);

await walk(async () => {
  const first = await submit({ name: 'first', tags: { t: '1' }, env: { A: '1' }, command: ['sh', '-c', 'echo one; echo two needle; echo 42 >/artifacts/x; echo "{\\"chart\\":\\"c\\",\\"y\\":1}"'] });
  await ended(first.id);
  const second = await submit({ name: 'second', command: ['sh', '-c', 'echo other'] });
  await ended(second.id);
  await signIn(page, '/console/p/lab/jobs?tag=t');
  await page.getByRole('link', { name: 'first' }).waitFor();

  // What is read: the same things come, as the page shows them.
  const list = await behind();
  same(json(`${list.cli} -o json`).items.map((job) => job.name), ['first']);
  same(json(list.curl).items.map((job) => job.name), ['first']);
  await page.getByRole('link', { name: 'first' }).click();
  await page.getByText('two needle').waitFor();
  const shown = await behind();
  is(json(`${shown.cli} -o json`).id, first.id);
  is(json(shown.curl).id, first.id);
  const log = await behind(page.getByRole('region', { name: 'Log' }));
  ok(sh(log.cli).startsWith('one\ntwo needle\n'));
  is(sh(log.curl), sh(log.cli));
  await page.getByLabel('Search the log').fill('NEEDLE');
  await page.keyboard.press('Enter');
  await page.getByText('1 of 1').waitFor();
  const search = await behind(page.getByRole('search'));
  ok(sh(search.cli).includes('two needle'));
  same(json(search.curl).items.map((match) => match.line), [1]);
  for (const [tab, region, seen] of [['Charts', page.getByRole('region', { name: 'Charts' }), 'c'], ['Artifacts', page.getByRole('region', { name: 'Artifacts' }), 'x'], ['Hardware', page.getByRole('region', { name: 'Use of the hardware' }), '']]) {
    await page.getByRole('tab', { name: tab }).click();
    const found = await behind(region);
    ok(sh(found.cli.split('\n')[0]).includes(seen), found.cli);
    ok(JSON.stringify(json(found.curl.split('\n')[0])).includes(seen), found.curl);
  }
  await page.getByRole('tab', { name: 'Artifacts' }).click();
  const [, all] = (await behind(page.getByRole('region', { name: 'Artifacts' }))).cli.split('\n');
  is(sh(`${all} && tar xOf ${first.id}.tar x`), '42\n');
  await page.getByRole('button', { name: 'View x' }).click();
  const one = await behind(page.getByRole('dialog'));
  await page.keyboard.press('Escape');
  for (const how of [one.cli, one.curl]) is(sh(`rm -f x && ${how} >&2 && cat x`), '42\n');
  for (const [path, check_] of [['queue', (answer) => answer.items], ['datasets', (answer) => answer.items], ['images', (answer) => answer.items], ['secrets', (answer) => answer.items]]) {
    await page.goto(`${base}/console/p/lab/${path}`);
    const found = await behind();
    same(check_(json(`${found.cli} -o json`)), check_(json(found.curl)));
  }
  for (const path of ['machines', 'keys']) {
    await page.goto(`${base}/console/${path}`);
    const found = await behind();
    same(json(`${found.cli} -o json`).items.map((one) => one.id), json(found.curl).items.map((one) => one.id));
  }
  await page.goto(`${base}/console/p/lab/compare?jobs=${first.id},${second.id}`);
  const differ = page.locator('section.card', { hasText: 'Where their records differ' });
  await differ.getByRole('row', { name: /env/ }).first().waitFor();
  await check(page, 'compare-records');
  const diff = await behind(differ);
  same(json(`${diff.cli} -o json`).items, json(diff.curl).items);

  // What is done: by the button, by the command and by the call, with the same end.
  await page.goto(`${base}/console/p/lab/jobs/${first.id}`);
  const again = async () => {
    await page.getByRole('button', { name: 'Run again…' }).click();
    await page.getByRole('dialog').getByLabel('Name').fill('again');
  };
  await again();
  await check(page, 'run-again');
  const rerun = await behind(page.getByRole('dialog'));
  await page.getByRole('dialog').getByRole('button', { name: 'Run again', exact: true }).click();
  await page.waitForURL((url) => !url.pathname.endsWith(first.id));
  const jobs = [await ended(at()), await ended(/[0-9a-f]{8}-[0-9a-f-]{27}/.exec(sh(rerun.cli))[0]), await ended(json(rerun.curl).id)];
  for (const job of jobs) {
    is(job.state, 'succeeded');
    same({ ...job.spec, name: job.name, tags: job.tags }, { ...jobs[0].spec, name: 'again', tags: { t: '1' } });
  }

  const stop = async (how) => {
    const job = await submit({ name: 'long', command: ['sleep', '1000'] });
    await page.goto(`${base}/console/p/lab/jobs/${job.id}`);
    await page.getByRole('list', { name: 'States so far' }).getByText('running').first().waitFor();
    await page.getByRole('button', { name: 'Stop…' }).click();
    await page.getByLabel('Grace period').fill('5s');
    const found = await behind(page.getByRole('dialog'));
    if (how) sh(found[how]);
    else await page.getByRole('button', { name: 'Stop it' }).click();
    const after = await ended(job.id);
    return [after.state, after.cause, after.reason];
  };
  const stopped = await stop('');
  same(await stop('cli'), stopped);
  same(await stop('curl'), stopped);

  const remove = async (how, id) => {
    await page.goto(`${base}/console/p/lab/jobs/${id}`);
    await page.getByRole('button', { name: 'Delete…' }).click();
    const found = await behind(page.getByRole('dialog'));
    if (how) {
      sh(found[how]);
      await page.getByText('the job was deleted').waitFor();
    } else {
      await page.getByRole('button', { name: 'Delete it' }).click();
      await page.waitForURL(/\/jobs$/);
    }
    const answer = await fetch(`${base}/v1/projects/lab/jobs/${id}`, { headers: { Authorization: `Bearer ${key}` } });
    is(answer.status, 404);
  };
  await remove('', jobs[0].id);
  await remove('cli', jobs[1].id);
  await remove('curl', jobs[2].id);
  is(await state(first.id), 'succeeded');
}, /status of 404/);
