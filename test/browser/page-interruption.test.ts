// Whatever breaks while the page uploads, the server stores the same bytes, and the client sends few bytes twice.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type {} from '../../client/element/define.ts';
import { launchChromium } from '../support/chromium.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { temporaryDirectory, testDirectory } from '../support/temp-dir.ts';
import {
  accessibilityFaults,
  button,
  chooser,
  expectState,
  PATIENCE,
  shownText,
  storedHashes,
  type Video,
  video,
  visit,
} from './page-driver.ts';

const MIB = 1024 * 1024;
const LENGTH = 40 * MIB;
/** The size of a browser's first chunk. */
const FIRST_CHUNK = 8 * MIB;
const SLOW = 12 * MIB;

const { path: directory } = temporaryDirectory();
let browser: Browser;
let film: Video;
beforeAll(async () => {
  browser = await launchChromium();
  film = await video('film.mp4', LENGTH, 1, directory);
});
afterAll(() => browser.close());

async function slowly(upstream: string, bytesPerSecond = SLOW): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ upstream, bytesPerSecond });
  onTestFinished(() => proxy.close());
  return proxy;
}

/** Sends the film until the server has acknowledged a chunk and the client is sending the next. */
async function sendHalf(page: Page, proxy: FaultProxy): Promise<void> {
  await chooser(page).setInputFiles(film.path);
  await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(FIRST_CHUNK + 2 * MIB);
}

async function setMetadata(page: Page, metadata: Record<string, string>): Promise<void> {
  await page.evaluate((given) => {
    const element = document.querySelector('landfall-upload');
    if (element) element.options = { metadata: given };
  }, metadata);
}

/** The offsets of all bodies sent from this exchange on. */
function offsetsSince(proxy: FaultProxy, first: number): number[] {
  return proxy.exchanges
    .slice(first)
    .filter(({ method }) => method === 'PATCH')
    .map(({ headers }) => Number(headers['upload-offset']));
}

describe('an upload resumes', () => {
  it('at the offset of the server after the page was reloaded and the file chosen again', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url);
    const { page, problems } = await visit(browser, proxy.url, { colorScheme: 'dark' });
    await sendHalf(page, proxy);

    await page.reload();
    await page.getByRole('heading', { name: 'Unfinished uploads' }).waitFor();
    await expectState(page, film.name, /% uploaded/);
    expect(await accessibilityFaults(page)).toEqual([]);
    const before = proxy.exchanges.length;
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;

    const other = await video('film.mp4', LENGTH - 1, 2);
    const again = page.locator('landfall-upload .unfinished input[type=file]');
    const choose = button(page, 'Choose file', film.name);
    for (const path of [other.path, film.path]) {
      const asked = page.waitForEvent('filechooser');
      await choose.click();
      await (await asked).setFiles(path);
      if (path === other.path) expect(await shownText(page.getByRole('alert'))).toMatch(/does not match this upload/);
    }
    await expectState(page, film.name, /Upload complete/);

    expect(await again.count()).toBe(1);
    expect(await page.getByText('Unfinished uploads').isVisible()).toBe(false);
    expect(Math.min(...offsetsSince(proxy, before))).toBeGreaterThanOrEqual(FIRST_CHUNK);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
    expect(problems).toEqual([]);
  });

  it('as the upload that it was, although the element has other metadata in the next visit', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url);
    const { page } = await visit(browser, proxy.url);
    await setMetadata(page, { session: 'first' });
    await sendHalf(page, proxy);

    await page.reload();
    await setMetadata(page, { session: 'second' });
    const before = proxy.exchanges.length;
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    const asked = page.waitForEvent('filechooser');
    await button(page, 'Choose file', film.name).click();
    await (await asked).setFiles(film.path);
    await expectState(page, film.name, /Upload complete/);
    expect(Math.min(...offsetsSince(proxy, before))).toBeGreaterThanOrEqual(FIRST_CHUNK);
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
  });

  it('by itself after the server was killed and started again', async () => {
    const dataDir = testDirectory();
    const server = await startLandfall({ dataDir });
    onTestFinished(() => server.kill());
    const proxy = await slowly(server.url);
    const { page } = await visit(browser, proxy.url);
    await sendHalf(page, proxy);

    await Promise.all([server.kill(), proxy.goDown()]);
    await expectState(page, film.name, /Waiting for the network[\s\S]*Your progress is saved\./);
    const before = proxy.exchanges.length;
    await server.start();
    await proxy.listen();
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await expectState(page, film.name, /Upload complete/);

    expect(Math.min(...offsetsSince(proxy, before).filter((offset) => offset > 0))).toBeGreaterThanOrEqual(FIRST_CHUNK);
    expect(await storedHashes(dataDir)).toEqual({ [film.name]: film.sha256 });
  });

  it('by itself once the network returns', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url);
    const { page } = await visit(browser, proxy.url);
    await sendHalf(page, proxy);

    await page.context().setOffline(true);
    await expectState(page, film.name, /Waiting for the network[\s\S]*You are offline/);
    expect(await accessibilityFaults(page)).toEqual([]);
    expect(await shownText(page.getByRole('status'))).toMatch(/Uploads resume automatically/);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await page.context().setOffline(false);
    await expectState(page, film.name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });
});

describe('when a device loses its network during a request, the page', () => {
  it('says so, even if the browser does not abort the request', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url);
    const { page } = await visit(browser, proxy.url);
    await page.evaluate(() => {
      const element = document.querySelector('landfall-upload');
      if (element) element.options = { timeouts: { stallMs: 3_600_000 } };
    });
    await sendHalf(page, proxy);
    proxy.bytesPerSecond = 1;
    await page.evaluate(() => {
      Object.defineProperty(navigator, 'onLine', { value: false, configurable: true });
      dispatchEvent(new Event('offline'));
    });
    await expectState(page, film.name, /Waiting for the network[\s\S]*You are offline/);

    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await page.evaluate(() => {
      Object.defineProperty(navigator, 'onLine', { value: true, configurable: true });
      dispatchEvent(new Event('online'));
    });
    await expectState(page, film.name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });
});

describe('with the keyboard alone', () => {
  it('a person chooses, pauses, resumes, cancels and repeats an upload', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url, MIB);
    const { page } = await visit(browser, proxy.url, { viewport: { width: 360, height: 740 } });
    const asked = page.waitForEvent('filechooser');
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await (await asked).setFiles(film.path);
    await expectState(page, film.name, /Uploading/);
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(MIB / 2);

    await tabTo(page, `Pause: ${film.name}`);
    await page.keyboard.press('Enter');
    await expectState(page, film.name, /Paused/);
    expect(await accessibilityFaults(page)).toEqual([]);
    const still = proxy.bytes;
    // The same button now resumes.
    expect(await focusedName(page)).toBe(`Resume: ${film.name}`);
    await page.keyboard.press('Enter');
    await expectState(page, film.name, /Uploading/);
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(still);

    await tabTo(page, `Cancel: ${film.name}`);
    await page.keyboard.press('Enter');
    await expectState(page, film.name, /Cancelled/);
    // The same button now undoes the cancellation.
    expect(await focusedName(page)).toBe(`Undo: ${film.name}`);
    const created = proxy.exchanges.find(({ method }) => method === 'POST')?.answer?.location ?? '';
    await expect
      .poll(async () => (await fetch(new URL(created, server.files), { method: 'HEAD', headers: TUS })).status, PATIENCE)
      .toBe(410);

    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await tabTo(page, `Upload again: ${film.name}`);
    await page.keyboard.press('Enter');
    await expectState(page, film.name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });

  it('a person pauses and resumes all uploads together', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url, MIB);
    const { page } = await visit(browser, proxy.url);
    const films = [film, ...(await Promise.all([2, 3, 4, 5].map((seed) => video(`film-${seed}.mp4`, 9 * MIB, seed))))];
    await chooser(page).setInputFiles(films.map(({ path }) => path));
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(MIB / 2);

    await tabTo(page, 'Pause all');
    await page.keyboard.press('Space');
    for (const { name } of films.slice(1)) await expectState(page, name, /Paused|Upload complete/);
    await expectState(page, film.name, /Paused/);

    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await tabTo(page, 'Resume all');
    await page.keyboard.press('Space');
    for (const { name } of films) await expectState(page, name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual(Object.fromEntries(films.map(({ name, sha256 }) => [name, sha256])));
  });
});

const TUS = { 'Tus-Resumable': '1.0.0' };

async function focusedName(page: Page): Promise<string> {
  return page.evaluate(() => {
    const focused = document.activeElement?.shadowRoot?.activeElement;
    return focused?.getAttribute('aria-label') ?? focused?.textContent ?? '';
  });
}

async function tabTo(page: Page, name: string): Promise<void> {
  for (let press = 0; press < 40; press++) {
    if ((await focusedName(page)) === name) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`The Tab key never reached “${name}”.`);
}
