// browser.js - Chromium without a window, and what every session with it needs
import { strictEqual as is } from 'node:assert';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

export const base = process.env.BERTH_URL;
export const key = process.env.BERTH_TEST_KEY;
const shots = process.env.BERTH_SHOTS;

/** A browser with an empty profile; what pages complain of is collected. */
export async function open(options = {}) {
  const profile = mkdtempSync(join(tmpdir(), 'berth-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.BERTH_CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  const complaints = [];
  const foreign = [];
  context.on('page', watch);
  function watch(page) {
    page.on('console', (message) => { if (['error', 'warning'].includes(message.type())) complaints.push(message.text()); });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => { if (!request.url().startsWith(base)) foreign.push(request.url()); });
  }
  const page = context.pages()[0] ?? await context.newPage();
  watch(page);
  page.setDefaultTimeout(120_000);
  /** Go through TOUR, with a picture of where it fails. At its end the pages have asked for nothing from elsewhere
   * and complained of nothing but what EXPECTED matches. */
  async function walk(tour, expected = /^$/) {
    try {
      await tour();
      is(complaints.filter((text) => !expected.test(text)).join('\n'), '');
      is(foreign.join('\n'), '');
    } catch (error) {
      await shot(page, 'failed');
      throw error;
    } finally {
      await context.close();
      rmSync(profile, { recursive: true, force: true });
    }
  }
  return { context, page, complaints, walk };
}

export async function signIn(page, path = '/console/') {
  await page.goto(base + path);
  await page.getByLabel('Key', { exact: true }).fill(key);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('navigation', { name: 'Main' }).waitFor();
}

/** Kept only where somebody asked for pictures. */
export async function shot(page, name) {
  if (shots) await page.screenshot({ path: join(shots, `${name}.png`) });
}

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** In light and dark: nothing that axe finds stands between a page and who uses it by keyboard or ear. axe is
 * brought in by the test's own channel, which the page's policy does not rule. */
export async function check(page, name) {
  await page.evaluate(axe);
  for (const colours of ['light', 'dark']) {
    await page.evaluate((theme) => { document.documentElement.dataset.theme = theme; }, colours);
    await shot(page, `${name}-${colours}`);
    const found = await page.evaluate(() => globalThis.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] }));
    const barriers = found.violations.map((one) => `${name}, ${colours}: ${one.id}: ${one.nodes.map((node) => node.html.slice(0, 120)).join(' ')}`);
    if (barriers.length) throw new Error(barriers.join('\n'));
  }
  await page.evaluate(() => { document.documentElement.dataset.theme = 'light'; });
}

/** The API as the command line uses it. */
export async function api(method, path, body) {
  const answer = await fetch(base + path, {
    method, headers: { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' }, body: body && JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

export const submit = (body) => api('POST', '/v1/projects/lab/jobs', { cpus: 1, memory: '256Mi', ...body });

export async function ended(id) {
  const answer = await fetch(`${base}/v1/projects/lab/jobs/${id}/logs?follow=true`, { headers: { Authorization: `Bearer ${key}` } });
  await answer.text();
  return api('GET', `/v1/projects/lab/jobs/${id}`);
}
