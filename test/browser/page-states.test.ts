// Every state of the page at the widths of a phone, a tablet and a desk, light and dark: nothing sticks out, nothing hinders
// anyone. `npm run screenshots` keeps pictures of all of them, to be looked at.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { accessibilityFaults, chooser, expectState, PATIENCE, type Video, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;
const WIDTHS = [360, 768, 1440] as const;
const SCHEMES = ['light', 'dark'] as const;
/** Where the pictures go; without it none are taken. */
const FOLDER = process.env.LANDFALL_SCREENSHOTS;
/** Slow enough that all stays as it is while it is looked at. */
const SLOW = 1.5 * MIB;

const { path: directory } = temporaryDirectory();
let browser: Browser;
let films: Video[];
beforeAll(async () => {
  [browser, films] = await Promise.all([
    launchChromium(),
    Promise.all([
      video('Harbour at dawn – camera 2.mp4', 64 * MIB, 1, directory),
      video('interview-with-the-keeper-of-the-lighthouse-uncut.mov', 40 * MIB, 2, directory),
      video('drone_0417.mp4', 18 * MIB, 3, directory),
    ]),
  ]);
});
afterAll(() => browser.close());

const paths = () => films.map(({ path }) => path);

interface Scene {
  page: Page;
  proxy: FaultProxy;
}

async function scene(config: Parameters<typeof embedLandfall>[0] = {}): Promise<Scene> {
  const server = await embedLandfall(config);
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: SLOW });
  onTestFinished(() => proxy.close());
  const { page } = await visit(browser, proxy.url);
  return { page, proxy };
}

/** All three are on their way, and the page can say how fast. */
async function sendThree({ page, proxy }: Scene): Promise<void> {
  // A few chunks at full speed, so that the bars stand somewhere.
  proxy.bytesPerSecond = 24 * MIB;
  await chooser(page).setInputFiles(paths());
  await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(30 * MIB);
  proxy.bytesPerSecond = SLOW;
  for (const { name } of films.slice(0, 2)) await expectState(page, name, /Uploading[\s\S]*\/s/);
}

async function lookAt(page: Page, state: string): Promise<void> {
  for (const width of WIDTHS) {
    await page.setViewportSize({ width, height: width < 500 ? 780 : 900 });
    const overhang = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    await expect.poll(overhang, { ...PATIENCE, message: `${state} sticks out at ${width} px` }).toBe(0);
    for (const colorScheme of SCHEMES) {
      // Without pictures each scheme is looked at once: a look at all six takes a minute.
      if (FOLDER === undefined && colorScheme !== (width === WIDTHS[0] ? 'light' : width === WIDTHS[2] ? 'dark' : undefined)) continue;
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      expect(await accessibilityFaults(page), `${state}, ${width} px, ${colorScheme}`).toEqual([]);
      if (FOLDER === undefined) continue;
      await mkdir(FOLDER, { recursive: true });
      await writeFile(join(FOLDER, `${state}-${width}-${colorScheme}.png`), await page.screenshot({ fullPage: true }));
    }
  }
}

describe('the page has no accessibility fault and fits any width', () => {
  it('empty', async () => {
    const { page } = await scene();
    await lookAt(page, 'empty');
  });

  it('with three files on their way', async () => {
    const here = await scene();
    await sendThree(here);
    await lookAt(here.page, 'running');
  });

  it('paused', async () => {
    const here = await scene();
    await sendThree(here);
    await here.page.getByRole('button', { name: 'Pause all' }).click();
    for (const { name } of films.slice(0, 2)) await expectState(here.page, name, /Paused/);
    await lookAt(here.page, 'paused');
  });

  it('offline', async () => {
    const here = await scene();
    await sendThree(here);
    await here.page.context().setOffline(true);
    for (const { name } of films.slice(0, 2)) await expectState(here.page, name, /You are offline/);
    await lookAt(here.page, 'offline');
  });

  it('with files refused before and after their first bytes, beside one that was accepted', async () => {
    const { page, proxy } = await scene({ maxUploadSize: '24MiB' });
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    const [setup, picture] = [join(directory, 'setup.exe'), join(directory, 'holiday.jpg')];
    await writeFile(setup, 'MZ');
    await writeFile(picture, `<!doctype html>${'x'.repeat(10_000)}`);
    await chooser(page).setInputFiles([...paths(), setup, picture]);
    await expectState(page, 'drone_0417.mp4', /Accepted/);
    await expectState(page, 'holiday.jpg', /Refused/);
    await lookAt(page, 'refused');
  });

  it('with everything accepted', async () => {
    const { page, proxy } = await scene();
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await chooser(page).setInputFiles(paths());
    for (const { name } of films) await expectState(page, name, /Accepted/);
    await lookAt(page, 'done');
  });

  it('interrupted in an earlier visit', async () => {
    const here = await scene();
    await sendThree(here);
    await here.page.reload();
    await here.page.getByRole('heading', { name: 'Unfinished from an earlier visit' }).waitFor();
    await lookAt(here.page, 'interrupted');
  });
});
