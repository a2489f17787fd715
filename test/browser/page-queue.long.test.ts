// Many files at once, closed tabs, and files that changed between two visits.
import { readFile, utimes, writeFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type {} from '../../client/element/define.ts';
import { launchChromium } from '../support/chromium.ts';
import { sha256 } from '../support/content.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { headUpload } from '../support/tus-requests.ts';
import { button, chooser, expectState, PATIENCE, shownText, storedHashes, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

async function slowly(upstream: string, bytesPerSecond: number): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ upstream, bytesPerSecond });
  onTestFinished(() => proxy.close());
  return proxy;
}

async function chooseAgain(page: Page, name: string, path: string): Promise<void> {
  const asked = page.waitForEvent('filechooser');
  await button(page, 'Choose file', name).click();
  await (await asked).setFiles(path);
}

describe('twenty files chosen together', () => {
  it('are uploaded three at a time, in order, and each is accepted', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url, 24 * MIB);
    const directory = testDirectory();
    const films = await Promise.all(
      Array.from({ length: 20 }, (_, index) => video(`film-${String(index + 1).padStart(2, '0')}.mp4`, 2 * MIB, index + 1, directory)),
    );
    const { page, problems } = await visit(browser, proxy.url);
    let most = 0;
    let underWay = 0;
    const created: string[] = [];
    proxy.onRequest = ({ method, headers }) => {
      if (method === 'POST') {
        most = Math.max(most, ++underWay);
        created.push(atob(/filename ([^,]+)/.exec(String(headers['upload-metadata']))?.[1] ?? ''));
      }
      // The client requests the record of each accepted upload, and then starts the next one.
      if (method === 'GET') underWay--;
      return undefined;
    };
    await chooser(page).setInputFiles(films.map(({ path }) => path));
    await page.getByText('All 20 uploads complete').waitFor({ timeout: PATIENCE.timeout });
    expect(most).toBeLessThanOrEqual(3);
    expect(created.slice(0, 3).toSorted()).toEqual(films.slice(0, 3).map(({ name }) => name));
    expect(await storedHashes(server.dataDir)).toEqual(Object.fromEntries(films.map((film) => [film.name, film.sha256])));
    expect(problems).toEqual([]);
  });
});

describe('all uploads together', () => {
  it('can be retried after the client gave up, at the offset of the server, and cancelled', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url, 16 * MIB);
    const directory = testDirectory();
    // One more file than the page sends at once.
    const films = await Promise.all([1, 2, 3, 4].map((seed) => video(`film-${seed}.mp4`, 20 * MIB, seed, directory)));
    const { page, problems } = await visit(browser, proxy.url);
    const press = (name: string) => page.getByRole('button', { name, exact: true }).click();
    await page.evaluate(() => {
      const element = document.querySelector('landfall-upload');
      if (element) element.options = { budgetMs: 100 };
    });
    await chooser(page).setInputFiles(films.map(({ path }) => path));
    // More than three chunks of 8 MiB: at least one of the three files has a complete chunk.
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(26 * MIB);
    await proxy.goDown();
    for (const { name } of films) await expectState(page, name, /Failed[\s\S]*The server could not be reached/);
    await page.getByText('Nothing was uploaded').waitFor();

    const before = proxy.exchanges.length;
    proxy.bytesPerSecond = 2 * MIB;
    await proxy.listen();
    await press('Retry all');
    for (const { name } of films.slice(0, 3)) await expectState(page, name, /Uploading/);
    const offsets = () =>
      proxy.exchanges
        .slice(before)
        .filter(({ method }) => method === 'PATCH')
        .map(({ headers }) => Number(headers['upload-offset']));
    await expect.poll(() => Math.max(...offsets()), PATIENCE).toBeGreaterThanOrEqual(8 * MIB);

    await press('Cancel all');
    for (const { name } of films) await expectState(page, name, /Cancelled/);
    const created = proxy.exchanges.flatMap(({ method, answer }) => (method === 'POST' && answer?.location ? [answer.location] : []));
    for (const location of created) {
      await expect.poll(async () => (await headUpload(new URL(location, server.files).href)).status, PATIENCE).toBe(410);
    }

    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    for (const { name } of films) await button(page, 'Upload again', name).click();
    for (const { name } of films) await expectState(page, name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual(Object.fromEntries(films.map((film) => [film.name, film.sha256])));
    expect(problems).toEqual([]);
  });
});

describe('a tab that is closed', () => {
  it('leaves the upload to the next tab, which resumes at the offset of the server', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url, 8 * MIB);
    const film = await video('film.mp4', 24 * MIB);
    const { page } = await visit(browser, proxy.url);
    await chooser(page).setInputFiles(film.path);
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(10 * MIB);
    const context = page.context();
    await page.close();

    const before = proxy.exchanges.length;
    const next = await context.newPage();
    await next.goto(`${proxy.url}/`);
    await expectState(next, film.name, /% uploaded/);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await chooseAgain(next, film.name, film.path);
    await expectState(next, film.name, /Upload complete/);
    const offsets = proxy.exchanges
      .slice(before)
      .filter(({ method }) => method === 'PATCH')
      .map(({ headers }) => Number(headers['upload-offset']));
    expect(Math.min(...offsets)).toBeGreaterThanOrEqual(8 * MIB);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });

  it('while another tab sends a file does not show that upload as unfinished', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url, 4 * MIB);
    const film = await video('film.mp4', 24 * MIB);
    const { page } = await visit(browser, proxy.url);
    await chooser(page).setInputFiles(film.path);
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(MIB);
    const other = await page.context().newPage();
    await other.goto(`${proxy.url}/`);
    await chooser(other).waitFor({ state: 'attached' });
    await chooser(other).setInputFiles(film.path);
    await expectState(other, film.name, /Another tab is uploading/);
    expect(await other.getByText('Unfinished uploads').isVisible()).toBe(false);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    for (const tab of [page, other]) await expectState(tab, film.name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });
});

describe('a file that changed between two visits', () => {
  it('is not appended to the old upload, and can be sent as a new one', async () => {
    const server = await embedLandfall();
    const proxy = await slowly(server.url, 8 * MIB);
    const film = await video('film.mp4', 64 * MIB);
    await utimes(film.path, 1_700_000_000, 1_700_000_000);
    const { page } = await visit(browser, proxy.url);
    await chooser(page).setInputFiles(film.path);
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(10 * MIB);
    await page.reload();
    await expectState(page, film.name, /% uploaded/);

    // The file has the same name, size and time, but other bytes.
    const changed = await readFile(film.path);
    changed.fill('other', 60 * MIB);
    await writeFile(film.path, changed);
    await utimes(film.path, 1_700_000_000, 1_700_000_000);
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await chooseAgain(page, film.name, film.path);
    await expectState(page, film.name, /Failed[\s\S]*changed since its upload began/);
    expect(await storedHashes(server.dataDir)).toEqual({});

    await button(page, 'Retry', film.name).click();
    await expectState(page, film.name, /Upload complete/);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: sha256(changed) });
    expect(await shownText(page.getByRole('alert'))).toBe('');
  });
});
