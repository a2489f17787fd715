// The wall clock is set by hours and days, forward and back, while the server runs and while it does not.
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { WallClock } from '../support/wall-clock.ts';

const TEXT = Buffer.from('0123456789');
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const DAY_MS = 86_400_000;
const PATIENT = { timeout: 60_000 };

async function start(env: Record<string, string> = {}): Promise<{ server: LandfallProcess; clock: WallClock }> {
  const clock = new WallClock();
  onTestFinished(async () => clock.destroy());
  const server = await startLandfall({ dataDir: testDirectory(), env: { ...clock.env, LANDFALL_SWEEP_INTERVAL: '50ms', ...env } });
  onTestFinished(() => server.kill());
  return { server, clock };
}

/** How far the server's clock is ahead of the true time. */
async function aheadMs(server: LandfallProcess): Promise<number> {
  const { headers } = await fetch(`${server.url}/health/live`);
  return Date.parse(headers.get('Date') ?? '') - Date.now();
}

async function createPartial(server: LandfallProcess): Promise<string> {
  const { url } = await createUpload(server.files, { length: TEXT.byteLength, name: 'a.txt', body: TEXT.subarray(0, 4) });
  return url;
}

/** Resolves once the sweeper has started and ended a pass after the call. */
async function sweepPass(server: LandfallProcess): Promise<void> {
  const { url } = await createUpload(server.files, { length: 5 });
  await terminateUpload(url);
  await expect.poll(async () => (await headUpload(url)).status, PATIENT).toBe(404);
}

async function expectWaiting(server: LandfallProcess, url: string): Promise<void> {
  const { status, offset, headers } = await headUpload(url);
  expect({ status, offset }).toEqual({ status: 200, offset: 4 });
  const expiresInMs = Date.parse(headers.get('Upload-Expires') ?? '') - Date.now() - (await aheadMs(server));
  expect(expiresInMs).toBeGreaterThan(6.9 * DAY_MS);
  expect(expiresInMs).toBeLessThan(7.1 * DAY_MS);
}

// The next pass deletes the record of an ended upload.
const FORGETFUL = { LANDFALL_KEEP_RECORDS_FOR: '1ms' };

describe('an unfinished upload', () => {
  it('does not expire when the clock is set forward or back while the server runs', async () => {
    const { server, clock } = await start(FORGETFUL);
    const url = await createPartial(server);
    for (const offset of isLong ? ['+8d', '-5h', '+60d', '+0', '-400d', '+400d', '+0'] : ['+8d', '-5h', '+60d']) {
      clock.set(offset);
      const days = Number.parseInt(offset, 10) * (offset.endsWith('h') ? 1 / 24 : 1);
      await expect.poll(async () => Math.abs((await aheadMs(server)) - days * DAY_MS), PATIENT).toBeLessThan(DAY_MS / 24);
      await sweepPass(server);
      await expectWaiting(server, url);
    }
    expect(await patchUpload(url, 4, TEXT.subarray(4))).toMatchObject({ status: 204, offset: TEXT.byteLength });
  });

  it('does not expire when the clock is set while no server runs', async () => {
    const { server, clock } = await start(FORGETFUL);
    const url = await createPartial(server);
    for (const [offset, end] of [
      ['+8d', 'stop'],
      ['-5h', 'kill'],
      ['+16d', 'kill'],
    ] as const) {
      await server[end]();
      clock.set(offset);
      await server.start();
      await sweepPass(server);
      await expectWaiting(server, url);
    }
    expect(await patchUpload(url, 4, TEXT.subarray(4))).toMatchObject({ status: 204, offset: TEXT.byteLength });
  });

  it('expires once a server has run for long enough, although the clock was set back', async () => {
    const { server, clock } = await start({ LANDFALL_EXPIRE_AFTER: '2s' });
    const url = await createPartial(server);
    clock.set('-5h');
    await expect.poll(async () => (await headUpload(url)).status, PATIENT).toBe(410);
    expect((await readRecord(url)).state).toBe('expired');
  });
});

it('a record is kept for the configured time, whatever the clock says', async () => {
  const { server, clock } = await start({ LANDFALL_EXPIRE_AFTER: '1s' });
  const { url } = await createUpload(server.files, { length: 5 });
  await terminateUpload(url);
  clock.set('+8d');
  await expect.poll(() => aheadMs(server), PATIENT).toBeGreaterThan(7 * DAY_MS);
  // The pass that ends this upload would have deleted the record.
  const idle = await createPartial(server);
  await expect.poll(async () => (await headUpload(idle)).status, PATIENT).toBe(410);
  expect((await headUpload(url)).status).toBe(410);
});

it('an idempotency key names the same upload although the clock was set forward by two days', async () => {
  const { server, clock } = await start();
  const creation = { length: TEXT.byteLength, name: 'a.txt', headers: { 'Idempotency-Key': 'key' } };
  const { url, status } = await createUpload(server.files, creation);
  expect(status).toBe(201);
  clock.set('+2d');
  await expect.poll(() => aheadMs(server), PATIENT).toBeGreaterThan(DAY_MS);
  expect((await createUpload(server.files, creation)).url).toBe(url);
});

it('an inspection that failed by a server fault is tried again soon, although the clock was set back by five hours', async () => {
  const storage = testDirectory();
  const { server, clock } = await start({ LANDFALL_STORAGE_DIR: storage });
  const { url } = await createUpload(server.files, { length: TEXT.byteLength, name: 'a.txt' });
  // Files take the place of the directories for this year and the next.
  const years = [0, 1].map((later) => join(storage, String(new Date().getUTCFullYear() + later)));
  await Promise.all(years.map((path) => writeFile(path, '')));
  const answer = patchUpload(url, 0, TEXT);
  await expect.poll(() => server.log.some(({ msg }) => msg === 'fault while finishing'), PATIENT).toBe(true);
  clock.set('-5h');
  await Promise.all(years.map((path) => rm(path)));
  await expect.poll(async () => (await readRecord(url)).state, PATIENT).toBe('accepted');
  await answer;
});
