// Files and folders dropped on the page as from a file manager, through the browser's own drag and drop.
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { expectState, PATIENCE, storedHashes, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** Drags paths of this machine over the page and drops them. */
async function drop(page: Page, paths: string[], at = { x: 640, y: 600 }): Promise<void> {
  const session = await page.context().newCDPSession(page);
  const data = { items: [], files: paths, dragOperationsMask: 1 };
  for (const type of ['dragEnter', 'dragOver', 'drop'] as const) await session.send('Input.dispatchDragEvent', { type, ...at, data });
  await session.detach();
}

describe('dropped on the page', () => {
  it('a folder is uploaded with its structure, without hidden system files', async () => {
    const records: (string | undefined)[] = [];
    const server = await embedLandfall(
      {},
      {
        onEvent: ({ type, data }) => {
          if (type === 'upload.accepted') records.push(data.relativePath);
        },
      },
    );
    const root = join(testDirectory(), 'Footage');
    const films = await Promise.all([1, 2, 3].map((seed) => video(`film-${seed}.mp4`, MIB, seed)));
    const places = ['film-1.mp4', 'day 1/film-2.mp4', 'day 2/Küste/film-3.mp4'];
    for (const [index, place] of places.entries()) {
      await mkdir(join(root, place, '..'), { recursive: true });
      await cp(films[index]?.path ?? '', join(root, place));
    }
    await writeFile(join(root, '.DS_Store'), 'x');
    const { page, problems } = await visit(browser, server.url);

    await drop(page, [root]);
    for (const { name } of films) await expectState(page, name, /Upload complete/);
    await expectState(page, 'film-3.mp4', /Footage\/day 2\/Küste/);

    await expect.poll(() => records.toSorted(), PATIENCE).toEqual(places.map((place) => `Footage/${place}`).toSorted());
    expect(await storedHashes(server.dataDir)).toEqual(Object.fromEntries(films.map(({ name, sha256 }) => [name, sha256])));
    expect(problems).toEqual([]);
  });

  it('a file resumes by itself after the page was reloaded', async () => {
    const server = await embedLandfall();
    const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: 8 * MIB });
    onTestFinished(() => proxy.close());
    const film = await video('film.mp4', 40 * MIB);
    const { page } = await visit(browser, proxy.url);
    await drop(page, [film.path]);
    await expect.poll(() => proxy.bytes, PATIENCE).toBeGreaterThan(10 * MIB);

    const before = proxy.exchanges.length;
    await page.reload();
    proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
    await expectState(page, film.name, /Upload complete/);
    const offsets = proxy.exchanges.slice(before).filter(({ method }) => method === 'PATCH');
    expect(Math.min(...offsets.map(({ headers }) => Number(headers['upload-offset'])))).toBeGreaterThanOrEqual(8 * MIB);
    expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  });
});
