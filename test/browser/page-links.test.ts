// After an upload: links to copy, a list that survives a reload, and Undo after a cancellation.
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type {} from '../../client/element/define.ts';
import { launchChromium } from '../support/chromium.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { headUpload } from '../support/tus-requests.ts';
import { accessibilityFaults, button, chooser, expectState, PATIENCE, row, shownText, storedHashes, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

const clipboard = (page: Page) => page.evaluate(() => navigator.clipboard.readText());
const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click();
const linkOf = (page: Page, name: string) => page.getByRole('link', { name: `Download: ${name}` }).getAttribute('href');

async function visitWithClipboard(url: string) {
  const visited = await visit(browser, url, { permissions: ['clipboard-read', 'clipboard-write'] });
  return visited;
}

describe('an accepted file', () => {
  it('has a link, which the page copies alone or with all others, also after a reload', async () => {
    const server = await embedLandfall();
    const directory = testDirectory();
    const films = await Promise.all([1, 2].map((seed) => video(`film-${seed}.mp4`, MIB, seed, directory)));
    const { page, problems } = await visitWithClipboard(server.url);
    await chooser(page).setInputFiles(films.map(({ path }) => path));
    for (const { name } of films) await expectState(page, name, /Upload complete/);

    const links = await Promise.all(films.map(({ name }) => linkOf(page, name)));
    await button(page, 'Copy link', 'film-1.mp4').click();
    await expectState(page, 'film-1.mp4', /Copied/);
    expect(await clipboard(page)).toBe(links[0]);
    await press(page, 'Copy all links');
    await expect.poll(() => clipboard(page), PATIENCE).toBe(links.join('\n'));
    expect(await accessibilityFaults(page)).toEqual([]);

    await page.reload();
    await page.getByRole('heading', { name: 'Previous uploads' }).waitFor();
    for (const { name } of films) await expectState(page, name, /Upload complete[\s\S]*1 MiB/);
    expect(await accessibilityFaults(page)).toEqual([]);
    await button(page, 'Copy link', 'film-2.mp4').click();
    await expect.poll(() => clipboard(page), PATIENCE).toBe(links[1]);
    await button(page, 'Remove from list', 'film-2.mp4').click();
    expect(await row(page, 'film-2.mp4').count()).toBe(0);

    await page.reload();
    await expectState(page, 'film-1.mp4', /Upload complete/);
    expect(await page.getByRole('listitem').count()).toBe(1);
    await press(page, 'Clear list');
    expect(await page.getByRole('listitem').count()).toBe(0);
    expect(await page.evaluate(() => localStorage.length)).toBe(0);
    expect(problems).toEqual([]);
  });

  it('has a link that can be copied on a page without the clipboard API, as on plain http', async () => {
    const server = await embedLandfall();
    const film = await video('film.mp4', MIB);
    const { page } = await visitWithClipboard(server.url);
    const read = await page.evaluate(() => {
      const native = navigator.clipboard;
      Object.assign(window, { readClipboard: () => native.readText() });
      Object.defineProperty(navigator, 'clipboard', { value: undefined, configurable: true });
      return navigator.clipboard === undefined;
    });
    expect(read).toBe(true);
    await chooser(page).setInputFiles(film.path);
    await expectState(page, film.name, /Upload complete/);
    await button(page, 'Copy link', film.name).click();
    await expectState(page, film.name, /Copied/);
    const copied = await page.evaluate(() => (window as unknown as { readClipboard(): Promise<string> }).readClipboard());
    expect(copied).toBe(await linkOf(page, film.name));
  });

  it('is not listed on later visits when the page disables that', async () => {
    const server = await embedLandfall();
    const film = await video('film.mp4', MIB);
    const { page } = await visit(browser, server.url);
    await page.evaluate(() => document.querySelector('landfall-upload')?.setAttribute('no-history', ''));
    await chooser(page).setInputFiles(film.path);
    await expectState(page, film.name, /Upload complete/);
    expect(await page.evaluate(() => localStorage.length)).toBe(0);
  });
});

describe('a cancelled upload', () => {
  async function halfSent(name = 'film.mp4') {
    const server = await embedLandfall();
    const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: 12 * MIB });
    onTestFinished(() => proxy.close());
    const film = await video(name, 40 * MIB);
    const { page } = await visit(browser, proxy.url);
    // The test decides when the time for Undo ends.
    await page.clock.install();
    await chooser(page).setInputFiles(film.path);
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(10 * MIB);
    const head = () => {
      const created = proxy.exchanges.find(({ method }) => method === 'POST')?.answer?.location ?? '';
      return headUpload(new URL(created, server.files).href);
    };
    return { server, proxy, film, page, head };
  }

  it('resumes by Undo, at the offset of the server', async () => {
    const { server, proxy, film, page, head } = await halfSent();
    await button(page, 'Cancel', film.name).click();
    await expectState(page, film.name, /Cancelled/);
    expect(await shownText(page.getByRole('status'))).toMatch(/can undo this/);
    expect(await accessibilityFaults(page)).toEqual([]);
    expect((await head()).status).toBe(200);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await button(page, 'Undo', film.name).click();
    await expectState(page, film.name, /Upload complete/);
    expect(proxy.exchanges.filter(({ method }) => method === 'POST')).toHaveLength(1);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });

  it('is deleted on the server once the time for Undo is over', async () => {
    const { film, page, head } = await halfSent();
    await button(page, 'Cancel', film.name).click();
    await page.clock.fastForward(10_000);
    await button(page, 'Upload again', film.name).waitFor();
    await expect.poll(async () => (await head()).status, PATIENCE).toBe(410);
  });

  it('is offered on the next visit when the page was closed before that time', async () => {
    const { film, page, head } = await halfSent();
    await button(page, 'Cancel', film.name).click();
    await expectState(page, film.name, /Cancelled/);
    await page.reload();
    await page.getByRole('heading', { name: 'Unfinished uploads' }).waitFor();
    expect((await head()).status).toBe(200);

    await button(page, 'Discard', film.name).click();
    await expectState(page, film.name, /Discarded/);
    await button(page, 'Undo', film.name).click();
    await expectState(page, film.name, /% uploaded/);
    await button(page, 'Discard', film.name).click();
    await page.clock.fastForward(10_000);
    await expect.poll(() => row(page, film.name).count(), PATIENCE).toBe(0);
    await expect.poll(async () => (await head()).status, PATIENCE).toBe(410);
  });

  it('resumes when the person chooses its file again', async () => {
    const { server, proxy, film, page } = await halfSent();
    await button(page, 'Cancel', film.name).click();
    await expectState(page, film.name, /Cancelled/);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await chooser(page).setInputFiles(film.path);
    await expectState(page, film.name, /Upload complete/);
    expect(await page.getByRole('listitem').count()).toBe(1);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });
});
