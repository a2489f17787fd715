// The client's use of browser features: network events, wake locks and the question before leaving.
import type { Page } from 'playwright-core';
import { expect, it } from 'vitest';
import { sha256, videoBytes } from '../support/content.ts';
import { clientPagesForTests, ends, type Hand, open, send, snapshotOf } from './client-driver.ts';

const MIB = 1024 * 1024;
const PATIENCE = { timeout: 60_000 };

const pages = clientPagesForTests();

it('the client sends a Blob and plain bytes as well as a File, under their given name', async () => {
  const { context, url, stored } = await pages.start();
  const bytes = await videoBytes(100_000);
  const page = await open(context, url);
  const results = await page.evaluate(async (base64) => {
    const { landfall, endpoint } = window as unknown as Hand;
    const content = Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
    const uploads = [new Blob([content]), content].map((source, index) => landfall.upload(source, { endpoint, name: `${index}.mp4` }));
    return Promise.all(uploads.map(({ done }) => done));
  }, bytes.toString('base64'));
  expect(results.map(({ name }) => name)).toEqual(['0.mp4', '1.mp4']);
  expect(await stored()).toEqual([sha256(bytes), sha256(bytes)]);
});

it('the client retries at once when the network returns or changes or the page becomes visible, and counts no time offline', async () => {
  const { context, url, video, stored } = await pages.start();
  const { path, sha256: sum } = await video(100_000);
  const page = await open(context, url);
  await context.setOffline(true);
  // Without a network the client's next retry comes after half a minute.
  await send(page, path, { budgetMs: 1 });
  let tries = 1;
  const offlineAttempt = async () => {
    const { attempt, waiting } = await snapshotOf(page);
    return waiting?.reason === 'offline' ? attempt : 0;
  };
  await expect.poll(offlineAttempt, PATIENCE).toBe(tries);
  const wake = {
    online: () => window.dispatchEvent(new Event('online')),
    pageshow: () => window.dispatchEvent(new Event('pageshow')),
    visible: () => document.dispatchEvent(new Event('visibilitychange')),
    changed: () => (navigator as unknown as { connection: EventTarget }).connection.dispatchEvent(new Event('change')),
  };
  for (const signal of Object.values(wake)) {
    await page.evaluate(signal);
    tries += 1;
    await expect.poll(offlineAttempt, { timeout: 60_000 }).toBe(tries);
  }
  await context.setOffline(false);
  expect(await ends(page)).toMatchObject({ result: { size: 100_000 } });
  expect(await stored()).toEqual([sum]);
});

/** Returns whether the page would ask before it is left, and how many screen locks it holds. */
const guards = (page: Page) =>
  page.evaluate(() => {
    const leaving = new Event('beforeunload', { cancelable: true });
    window.dispatchEvent(leaving);
    return { asks: leaving.defaultPrevented, locks: (window as unknown as { locks: number }).locks };
  });

it('the client keeps the screen awake and asks before leaving while it sends, but not when paused, ended or configured otherwise', async () => {
  const { context, url, proxy, directory, video } = await pages.start();
  await video(6 * MIB);
  await context.addInitScript(() => {
    const hand = window as unknown as { locks: number };
    hand.locks = 0;
    const { wakeLock } = navigator;
    const { request } = wakeLock;
    wakeLock.request = async (type) => {
      const lock = await request.call(wakeLock, type);
      hand.locks += 1;
      lock.addEventListener('release', () => {
        hand.locks -= 1;
      });
      return lock;
    };
  });
  const page = await open(context, url);
  proxy.bytesPerSecond = 2 * MIB;
  await page.locator('input').setInputFiles(`${directory}/film.mp4`);
  const start = (options: { keepAwake?: boolean; confirmLeaving?: boolean }) =>
    page.evaluate((more) => {
      const hand = window as unknown as Hand;
      const file = document.querySelector('input')?.files?.[0];
      if (file === undefined) throw new Error('No file was chosen.');
      hand.handle = hand.landfall.upload(file, { endpoint: hand.endpoint, chunkSize: 262_144, ...more });
    }, options);
  await start({});
  await expect.poll(async () => (await snapshotOf(page)).confirmed, PATIENCE).toBeGreaterThan(0);
  await expect.poll(() => guards(page)).toEqual({ asks: true, locks: 1 });
  await page.evaluate(() => (window as unknown as Hand).handle.pause());
  await expect.poll(() => guards(page)).toEqual({ asks: false, locks: 0 });
  await page.evaluate(() => (window as unknown as Hand).handle.resume());
  await expect.poll(() => guards(page)).toEqual({ asks: true, locks: 1 });
  await page.evaluate(() => (window as unknown as Hand).handle.cancel({ deleteRemote: true }));
  await expect.poll(() => guards(page)).toEqual({ asks: false, locks: 0 });

  await start({ keepAwake: false, confirmLeaving: false });
  await expect.poll(async () => (await snapshotOf(page)).confirmed, PATIENCE).toBeGreaterThan(0);
  expect(await guards(page)).toEqual({ asks: false, locks: 0 });
});
