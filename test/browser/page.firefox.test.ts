// The page in Firefox: a file is uploaded, resumes after a reload, or is refused with the server's reason.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, ElementHandle, Page } from 'puppeteer-core';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { launchFirefox } from '../support/firefox.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { PATIENCE, storedHashes, video } from './page-driver.ts';

const MIB = 1024 * 1024;

let browser: Browser;
beforeAll(async () => {
  browser = await launchFirefox();
});
afterAll(() => browser.close());

async function visit(url: string): Promise<Page> {
  const page = await browser.newPage();
  onTestFinished(() => page.close());
  // The page asks before the person leaves it during an upload; the test answers yes.
  page.on('dialog', (dialog) => void dialog.accept());
  await page.goto(`${url}/`);
  return page;
}

async function choose(page: Page, path: string): Promise<void> {
  const input = (await page.waitForSelector('landfall-upload >>> .zone input[type=file]')) as ElementHandle<HTMLInputElement> | null;
  await input?.uploadFile(path);
}

// biome-ignore lint/performance/useDomNodeTextContent: innerText leaves out hidden text
const shown = () => document.querySelector('landfall-upload')?.shadowRoot?.querySelector<HTMLElement>('.main')?.innerText ?? '';

const shows = (page: Page, words: RegExp) => expect.poll(() => page.evaluate(shown), PATIENCE).toMatch(words);

it('in Firefox a file is uploaded, and its link is shown after a reload', async () => {
  const server = await embedLandfall();
  const film = await video('film.mp4', 12 * MIB);
  const page = await visit(server.url);
  await choose(page, film.path);
  await shows(page, /Upload complete/);
  expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  await page.reload();
  await shows(page, /Previous uploads[\s\S]*Upload complete/);
});

it('in Firefox a file resumes after a reload at the offset of the server', async () => {
  const server = await embedLandfall();
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: 8 * MIB });
  onTestFinished(() => proxy.close());
  const film = await video('film.mp4', 40 * MIB);
  const page = await visit(proxy.url);
  await choose(page, film.path);
  await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(10 * MIB);
  await page.reload();
  await shows(page, /% uploaded/);
  const before = proxy.exchanges.length;
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  await choose(page, film.path);
  await shows(page, /Upload complete/);
  const offsets = proxy.exchanges.slice(before).filter(({ method }) => method === 'PATCH');
  expect(Math.min(...offsets.map(({ headers }) => Number(headers['upload-offset'])))).toBeGreaterThanOrEqual(8 * MIB);
  expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
});

it('in Firefox the page refuses a file by its name before sending, and the server refuses one by its content with a reason', async () => {
  const server = await embedLandfall();
  const [setup, picture] = ['setup.exe', 'holiday.jpg'].map((name) => join(testDirectory(), name)) as [string, string];
  await writeFile(setup, 'MZ');
  await writeFile(picture, `<!doctype html>${'x'.repeat(10_000)}`);
  const page = await visit(server.url);
  await choose(page, setup);
  await shows(page, /Refused[\s\S]*Files of this type are not accepted\./);
  await choose(page, picture);
  await shows(page, /The content of the file does not match its name\./);
  expect(await storedHashes(server.dataDir)).toEqual({});
});
