// Every state of the page at the widths of a phone, a tablet, a small screen and a desktop, light and dark, without overflow and
// accessibility faults. `npm run screenshots` keeps pictures of all states.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { lookAt } from './look-at.ts';
import { chooser, expectState, PATIENCE, type Video, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;
/** A speed slow enough that the page does not change while it is checked. */
const SLOW = 1.5 * MIB;

const { path: directory } = temporaryDirectory();
let browser: Browser;
let films: Video[];
let clips: Video[];
beforeAll(async () => {
  const make = (files: [string, number][]) => Promise.all(files.map(([name, bytes], seed) => video(name, bytes * MIB, seed, directory)));
  [browser, films, clips] = await Promise.all([
    launchChromium(),
    make([
      ['Harbour at dawn – camera 2.mp4', 64],
      ['interview-with-the-keeper-of-the-lighthouse-uncut.mov', 40],
      ['drone_0417.mp4', 18],
    ]),
    make([
      ['Regatta – finish line.mp4', 3],
      ['interview-with-the-keeper-of-the-lighthouse-part-2-of-3.mov', 2],
      ['tide-table.mp4', 1],
    ]),
  ]);
});
afterAll(() => browser.close());

const paths = (videos: readonly Video[]) => videos.map(({ path }) => path);

interface Scene {
  page: Page;
  proxy: FaultProxy;
}

async function scene(bytesPerSecond: number, config: Parameters<typeof embedLandfall>[0] = {}): Promise<Scene> {
  const server = await embedLandfall(config);
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond });
  onTestFinished(() => proxy.close());
  const { page } = await visit(browser, proxy.url);
  return { page, proxy };
}

/** Sends three files until all are in progress and the page shows their speed. */
async function sendThree({ page, proxy }: Scene): Promise<void> {
  await chooser(page).setInputFiles(paths(films));
  await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(30 * MIB);
  proxy.bytesPerSecond = SLOW;
  for (const { name } of films.slice(0, 2)) await expectState(page, name, /Uploading[\s\S]*\/s/);
}

describe('the page has no accessibility fault and fits any width,', () => {
  it('when empty', async () => {
    const { page } = await scene(SLOW);
    await lookAt(page, 'empty');
  });

  it('with three files in progress, paused, offline, and interrupted in an earlier visit', async () => {
    // The first chunks go quickly, so that the bars show some progress.
    const here = await scene(24 * MIB);
    const { page } = here;
    await sendThree(here);
    await lookAt(page, 'running');

    await page.getByRole('button', { name: 'Pause all' }).click();
    for (const { name } of films.slice(0, 2)) await expectState(page, name, /Paused/);
    await lookAt(page, 'paused');

    await page.getByRole('button', { name: 'Resume all' }).click();
    for (const { name } of films.slice(0, 2)) await expectState(page, name, /Uploading/);
    await page.getByRole('button', { name: 'Cancel all' }).click();
    for (const { name } of films.slice(0, 2)) await expectState(page, name, /Cancelled/);
    await page.getByRole('button', { name: 'Undo', exact: true }).click();
    for (const { name } of films.slice(0, 2)) await expectState(page, name, /Uploading/);

    await page.context().setOffline(true);
    for (const { name } of films.slice(0, 2)) await expectState(page, name, /You are offline/);
    await lookAt(page, 'offline');

    await page.context().setOffline(false);
    await page.reload();
    await page.getByRole('heading', { name: 'Unfinished uploads' }).waitFor();
    await lookAt(page, 'interrupted');
  });

  it('with files refused before and after their first bytes, and some accepted', async () => {
    const { page } = await scene(Number.POSITIVE_INFINITY, { maxUploadSize: '24MiB' });
    const [setup, picture] = [join(directory, 'setup.exe'), join(directory, 'holiday.jpg')];
    await writeFile(setup, 'MZ');
    await writeFile(picture, `<!doctype html>${'x'.repeat(10_000)}`);
    await chooser(page).setInputFiles([...paths(films.slice(0, 2)), ...paths(clips.slice(2)), setup, picture]);
    await expectState(page, 'tide-table.mp4', /Upload complete/);
    await expectState(page, 'holiday.jpg', /Refused/);
    await lookAt(page, 'refused');
  });

  it('with all files accepted', async () => {
    const { page } = await scene(Number.POSITIVE_INFINITY);
    await chooser(page).setInputFiles(paths(clips));
    for (const { name } of clips) await expectState(page, name, /Upload complete/);
    await lookAt(page, 'done');

    await page.reload();
    await page.getByRole('heading', { name: 'Previous uploads' }).waitFor();
    await lookAt(page, 'completed');
  });
});
