// A sender's network changes and disappears, as a phone's does: 10 Mbit/s, 100 ms each way.
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import type { UploadSnapshot } from '../../client/handle/snapshot.ts';
import { CHROMIUM_FLAGS } from '../support/chromium.ts';
import { filesBelow, sha256OfFile, writeVideo } from '../support/content.ts';
import { chromiumPath } from '../support/needs.ts';
import { REPOSITORY } from '../support/repository.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { TwoNetworks } from '../support/two-networks.ts';

const KIB = 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const OUTAGE_MS = isLong ? 60_000 : 5000;
/** 10 Mbit/s transfers 1.2 MB in a second. */
const LENGTH = (isLong ? 32 : 6) * KIB * KIB;
const PATIENCE = { timeout: 120_000, interval: 100 };
/** More than a HEAD and its answer need; less than a second of the connection. */
const ON_ITS_WAY = 256 * KIB;

const bed = () => TwoNetworks.create({ bitsPerSecond: '10mbit', delayMs: 100 });

async function film(length = LENGTH): Promise<{ path: string; sha256: string }> {
  const path = join(testDirectory(), 'film.mp4');
  return { path, sha256: await writeVideo(path, length) };
}

function sendWithNode(networks: TwoNetworks, path: string) {
  const script = join(REPOSITORY, 'test/client/sender-process.ts');
  const child = networks.spawn(process.execPath, script, path, `${networks.url}/files`, join(testDirectory(), 'state'), '--look');
  const snapshots: UploadSnapshot[] = [];
  let isAccepted = false;
  if (child.stdout === null) throw new Error('The sender process has no output.');
  createInterface(child.stdout).on('line', (line) => {
    const { snapshot, result } = JSON.parse(line) as { snapshot?: UploadSnapshot; result?: object };
    if (snapshot) snapshots.push(snapshot);
    if (result) isAccepted = true;
  });
  return { snapshots, ended: once(child, 'close').then(() => isAccepted) };
}

async function storedIn({ server }: TwoNetworks): Promise<string[]> {
  const folder = join(server.dataDir, 'files');
  return Promise.all((await filesBelow(folder)).map((name) => sha256OfFile(join(folder, name))));
}

/** Half of the time after which a sender without a network tries by itself. On a quiet machine it is a second or two. */
const AT_ONCE_MS = 15_000;

/** Only after the long outage has a sender reason to wait. */
async function expectResumed(networks: TwoNetworks, since: number): Promise<void> {
  await expect.poll(() => networks.goneOnAfter(since, ON_ITS_WAY), PATIENCE).toBeDefined();
  const ms = networks.goneOnAfter(since, ON_ITS_WAY) ?? 0;
  console.log(`resumed after ${ms} ms`);
  if (isLong) expect(ms).toBeLessThan(AT_ONCE_MS);
}

test('a sender in Node whose address changes resumes from the new one', async () => {
  const networks = await bed();
  const { path, sha256 } = await film();
  const { ended, snapshots } = sendWithNode(networks, path);
  await expect.poll(() => networks.passedBytes, PATIENCE).toBeGreaterThan(LENGTH / 4);
  const since = Date.now();
  await networks.changeAddress();
  await expectResumed(networks, since);
  expect(await ended).toBe(true);
  expect(snapshots.some(({ waiting }) => waiting?.reason === 'stalled')).toBe(false);
  expect(await storedIn(networks)).toEqual([sha256]);
  // Only bytes in flight are sent twice.
  expect(networks.passedBytes).toBeLessThan(LENGTH * 1.1);
});

test('a sender in Node resumes soon after the network is back', async () => {
  const networks = await bed();
  const { path, sha256 } = await film();
  const { ended } = sendWithNode(networks, path);
  await expect.poll(() => networks.passedBytes, PATIENCE).toBeGreaterThan(LENGTH / 4);
  await networks.pull();
  await sleep(OUTAGE_MS);
  const since = Date.now();
  await networks.plug();
  await expectResumed(networks, since);
  expect(await ended).toBe(true);
  expect(await storedIn(networks)).toEqual([sha256]);
});

test('a page resumes at once when the browser reports that the network is back, with the same address and with another', async () => {
  const networks = await bed();
  const { path, sha256 } = await film(2 * LENGTH); // two outages, and a browser that is slow to tell of them
  const browser = await chromium.launch({ executablePath: networks.wrapped(chromiumPath() ?? ''), args: CHROMIUM_FLAGS, headless: true });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  await page.goto(`${networks.url}/`);
  await page.locator('landfall-upload .zone input[type=file]').first().setInputFiles(path);
  await expect.poll(() => networks.passedBytes, PATIENCE).toBeGreaterThan(LENGTH / 4);
  for (const [outageMs, change] of [
    [OUTAGE_MS, async () => {}],
    [1000, () => networks.changeAddress()],
  ] as const) {
    await networks.pull();
    await expect.poll(() => page.evaluate(() => navigator.onLine), PATIENCE).toBe(false);
    await sleep(outageMs);
    await change();
    // The browser itself takes a second or two to detect a network.
    const heard = await page.evaluateHandle(() => ({
      at: new Promise<number>((resolve) => addEventListener('online', () => resolve(Date.now()), { once: true })),
    }));
    await networks.plug();
    await expectResumed(networks, await heard.evaluate(({ at }) => at));
  }
  await expect.poll(() => page.getByText('Upload complete').first().isVisible(), PATIENCE).toBe(true);
  expect(await storedIn(networks)).toEqual([sha256]);
});
