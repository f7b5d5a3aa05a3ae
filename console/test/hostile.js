// hostile.js - names, tags, lines, charts and files that try to be script: all of it is text
import { strictEqual as is, ok } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { api, base, ended, open, shot, signIn, submit } from './browser.js';

const EVIL = '<img src=x onerror=alert(1)>"\'><script>alert(2)</script>{{7*7}}javascript:alert(3)';
const { page, complaints, walk } = await open();
let alerts = 0;
page.on('dialog', (dialog) => { alerts++; void dialog.dismiss(); });
await page.addInitScript(() => {
  document.addEventListener('securitypolicyviolation', (event) => { console.error(`violation: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`); });
});

await walk(async () => {
  const escape = '\\033[31mred\\033]0;title\\007\\033[2J\\033]8;;javascript:alert(4)\\007link';
  await api('PUT', '/v1/projects/lab/secrets/S', { value: EVIL });
  const job = await submit({ name: 'evil', tags: { 'x/y.z': EVIL }, env: { A: EVIL, B: 'secret:S' },
    command: ['sh', '-c', 'printf "%s\\n" "$A"; printf "$1\\n"; printf "{\\"chart\\":%s,\\"x\\":1,\\"y\\":2,\\"label\\":%s}\\n" "$2" "$2"; printf "\\000\\377\\200 bytes\\n"; '
      + 'mkdir -p "/artifacts/<b onclick=alert(5)>"; printf "%s" "$A" >"/artifacts/<b onclick=alert(5)>/<svg onload=alert(6)>.html"; echo last; exit 3',
    EVIL, escape, JSON.stringify(EVIL)] });
  await ended(job.id);

  await signIn(page);
  await page.getByRole('button', { name: `x/y.z=${EVIL}` }).waitFor();
  await shot(page, 'hostile-jobs');
  await page.getByRole('link', { name: 'evil' }).click();
  await page.getByText('last', { exact: true }).waitFor();
  await page.getByText(EVIL).first().waitFor();
  await page.getByText('redlink', { exact: false }).or(page.getByText('link', { exact: true })).first().waitFor();
  await shot(page, 'hostile-log');
  await page.getByLabel('Search the log').fill('<script>');
  await page.keyboard.press('Enter');
  await page.getByText(/1 of \d/).waitFor();
  await page.getByRole('tab', { name: 'Charts' }).click();
  await page.locator('figure').getByText(EVIL).first().waitFor();
  await shot(page, 'hostile-charts');
  await page.getByRole('tab', { name: /Artifacts/ }).click();
  await page.getByText('<svg onload=alert(6)>').waitFor();
  await page.getByRole('button', { name: /^View/ }).click();
  await page.getByRole('dialog').getByText(EVIL).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('tab', { name: 'Details' }).click();
  await page.getByText(`A=${EVIL}`).waitFor();
  await page.getByRole('tab', { name: 'Attempts' }).click();
  await page.getByText('image_digest').waitFor();
  await page.getByRole('link', { name: 'Submit like this' }).click();
  await page.locator('[data-snippet="Command line"]').getByText('onerror').waitFor();

  // What lies in datasets, too.
  const trap = '<svg onload=alert(9)>';
  mkdirSync(`trap/${trap}`, { recursive: true });
  writeFileSync(`trap/${trap}/<img src=x onerror=alert(10)>.html`, EVIL);
  execFileSync('berth', ['dataset', 'push', 'evil-words', 'trap', '-m', EVIL, '--tag', `k=${EVIL}`]);
  await page.goto(`${base}/console/p/lab/datasets`);
  await page.getByRole('cell', { name: EVIL, exact: true }).waitFor();
  await shot(page, 'hostile-datasets');
  await page.getByRole('link', { name: 'evil-words' }).click();
  await page.getByRole('cell', { name: EVIL, exact: true }).waitFor();
  await page.getByRole('tab', { name: 'Files' }).click();
  await page.getByText(`${trap}/<img src=x onerror=alert(10)>.html`).waitFor();
  await page.getByRole('button', { name: /^View/ }).click();
  await page.getByRole('dialog').getByText(EVIL).waitFor();
  await page.keyboard.press('Escape');
  await page.goto(`${base}/console/p/lab/images`);
  await page.getByRole('heading', { name: 'Images' }).waitFor();

  // What comes by the address is text, too.
  for (const path of [`p/${encodeURIComponent(EVIL)}/jobs`, `p/lab/jobs/${encodeURIComponent(EVIL)}`, `p/lab/jobs?tag=${encodeURIComponent(EVIL)}&name=${encodeURIComponent(EVIL)}`,
    `p/lab/compare?jobs=${encodeURIComponent(EVIL)}`, `${encodeURIComponent(EVIL)}`, 'p/lab/new-job?from=javascript:alert(7)']) {
    await page.goto(`${base}/console/${path}`);
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
  }
  is(alerts, 0);
  is(await page.evaluate(() => document.querySelectorAll('#app script, #app img, #app svg[onload], #app b[onclick]').length), 0);

  is(complaints.filter((text) => !/status of 40[04]/.test(text)).join('\n'), '');

  // The policy itself holds: script that got in by other ways does not run.
  const refused = await page.evaluate(() => {
    const element = document.createElement('div');
    try { element.innerHTML = '<img src=x onerror=alert(8)>'; return 'taken'; } catch (error) { return error.constructor.name; }
  });
  is(refused, 'TypeError');
  ok(complaints.some((text) => text.includes('TrustedHTML')));
  is(alerts, 0);
}, /status of 40[04]|TrustedHTML|violation: /);
