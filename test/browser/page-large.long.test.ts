// Large files on the page: the memory of the tab, and a large upload during which the server is killed. The long run
// sends gigabytes.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { filesBelow, sha256OfFile, videoBytes } from '../support/content.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { chooser, expectState, PATIENCE, row, shownText, storedHashes, video, visit } from './page-driver.ts';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const isLong = process.env.LANDFALL_TEST_LONG === '1';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

/** V8's heap and the bytes of its buffers, including garbage. */
async function memoryOf(page: Page): Promise<() => Promise<number>> {
  const session = await page.context().newCDPSession(page);
  await session.send('HeapProfiler.collectGarbage');
  return async () => {
    const { usedSize, embedderHeapUsedSize, backingStorageSize } = await session.send('Runtime.getHeapUsage');
    return usedSize + embedderHeapUsedSize + backingStorageSize;
  };
}

it('a tab needs less than 100 MiB of memory to upload a file of gigabytes', async () => {
  const length = isLong ? 4 * GIB : 256 * MIB;
  const directory = testDirectory();
  const server = await startLandfall({ dataDir: join(directory, 'data') });
  onTestFinished(() => server.kill());
  const path = join(directory, 'film.mp4');
  const file = await open(path, 'w');
  await file.write(await videoBytes(40));
  await file.truncate(length);
  await file.close();

  const { page } = await visit(browser, server.url);
  const memory = await memoryOf(page);
  const before = await memory();
  let most = before;
  await chooser(page).setInputFiles(path);
  for (let isOver = false; !isOver; ) {
    for (let looks = 0; looks < 5; looks++) {
      most = Math.max(most, await memory());
      await sleep(50);
    }
    isOver = /Upload complete|Refused|Failed/.test(await shownText(row(page, 'film.mp4')));
  }
  await expectState(page, 'film.mp4', /Upload complete/);
  console.log(`the tab grew by ${Math.round((most - before) / MIB)} MiB while it sent ${length / MIB} MiB`);
  expect(most - before).toBeLessThan(100 * MIB);
  const files = join(server.dataDir, 'files');
  expect(await sha256OfFile(join(files, (await filesBelow(files))[0] ?? ''))).toBe(await sha256OfFile(path));
});

it('the server stores a film from the page whole although the server is killed in the middle and restarted', async () => {
  const film = await video('film.mp4', isLong ? 2.5 * GIB : 192 * MIB);
  const server = await startLandfall({ dataDir: testDirectory() });
  onTestFinished(() => server.kill());
  const { page, problems } = await visit(browser, server.url);
  await chooser(page).setInputFiles(film.path);
  const confirmed = () => page.evaluate(() => document.querySelector('landfall-upload')?.snapshot.confirmed ?? 0);
  await expect.poll(confirmed, { timeout: isLong ? 900_000 : PATIENCE.timeout, interval: 20 }).toBeGreaterThan(isLong ? GIB : 16 * MIB);
  await server.kill();
  await expectState(page, film.name, /Waiting/);
  const kept = await confirmed();
  await server.start();
  await page
    .getByText('Upload complete')
    .first()
    .waitFor({ timeout: isLong ? 900_000 : PATIENCE.timeout });
  console.log(`killed with ${Math.round(kept / MIB)} MiB confirmed`);
  expect(await storedHashes(server.dataDir)).toEqual({ [film.name]: film.sha256 });
  expect(problems).toEqual([]);
});
