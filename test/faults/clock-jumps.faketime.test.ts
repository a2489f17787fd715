// The wall clock jumps, at boot and while the server runs, with uploads in every state: no recently used upload expires, and
// none waits longer. The clock of each upload's deadlines is tested in clock.faketime.test.ts.
import { rm, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { openSocket, parseAnswer, patchHead } from '../support/raw-http.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { WallClock } from '../support/wall-clock.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const LENGTH = 200_000;
const HALF = LENGTH / 2;
/** The sweeper runs each half second: after this time it has removed all that it would remove. */
const SWEEPS_MS = 2000;

const BACK = { jump: 'five hours back', offset: '-5h' };
/** Longer than an unfinished upload is kept for its sender. */
const FORWARD = { jump: 'eight days forward', offset: '+8d' };
const ALL = [BACK, FORWARD, { jump: 'a week back', offset: '-7d' }, { jump: 'five hours forward', offset: '+5h' }];

async function prepare(env: Record<string, string> = {}): Promise<{ server: LandfallProcess; clock: WallClock }> {
  const clock = new WallClock();
  onTestFinished(async () => clock.destroy());
  const settings = { LANDFALL_SWEEP_INTERVAL: '500ms', ...env };
  const server = new LandfallProcess({ dataDir: testDirectory(), env: { ...clock.env, ...settings } });
  onTestFinished(() => server.kill());
  await server.start();
  return { server, clock };
}

/**
 * A file takes the place of the directory of final files for a while, so that every inspection must be tried again. The
 * directory is still empty, and the server makes it again: an attempt that runs at this moment is in nobody's way.
 */
async function blockStorage({ dataDir }: LandfallProcess): Promise<() => Promise<void>> {
  const files = join(dataDir, 'files');
  await rmdir(files);
  await writeFile(files, '');
  return () => rm(files);
}

/** A half-sent upload, a refused one, and one created with an idempotency key: all of them a moment old. */
async function makeRecent({ files }: LandfallProcess) {
  const bytes = await videoBytes(LENGTH);
  const half = await createUpload(files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, HALF) });
  const refused = await createUpload(files, { length: LENGTH, name: 'photo.png' });
  expect(await patchUpload(refused.url, 0, bytes)).toMatchObject({ status: 422 });
  const creation = { length: LENGTH, name: 'keyed.mp4', headers: { 'Idempotency-Key': '"one"' } };
  const keyed = await createUpload(files, creation);
  return {
    async expectAllThere() {
      expect(await headUpload(half.url)).toMatchObject({ status: 200, offset: HALF });
      expect(await patchUpload(half.url, HALF, bytes.subarray(HALF))).toMatchObject({ status: 204, offset: LENGTH });
      expect(await patchUpload(refused.url, LENGTH - 1, bytes.subarray(LENGTH - 1))).toMatchObject({ status: 422 });
      expect((await createUpload(files, creation)).url).toBe(keyed.url);
    },
  };
}

describe('a wall clock', () => {
  it.for(isLong ? ALL : [BACK, FORWARD])(
    '$jump while the server runs removes no recent upload, and breaks off no body',
    async ({ offset }) => {
      const { server, clock } = await prepare();
      const recent = await makeRecent(server);
      const bytes = await videoBytes(LENGTH);
      const { url } = await createUpload(server.files, { length: LENGTH, name: 'under way.mp4' });
      const socket = await openSocket(server.url);
      onTestFinished(() => void socket.destroy());
      let answer = '';
      socket.on('data', (chunk) => {
        answer += chunk;
      });
      socket.write(patchHead(url, 0, LENGTH));
      socket.write(bytes.subarray(0, HALF));
      await expect.poll(async () => (await readRecord(url)).offset).toBe(HALF);
      clock.set(offset);
      await sleep(SWEEPS_MS);
      socket.write(bytes.subarray(HALF));
      await expect.poll(() => parseAnswer(answer).status, { timeout: 60_000 }).toBe(204);
      expect(parseAnswer(answer).headers.get('upload-offset')).toBe(String(LENGTH));
      await recent.expectAllThere();
    },
  );

  it.for(isLong ? ALL : [FORWARD])('$jump between two starts removes no recent upload', async ({ offset }) => {
    const { server, clock } = await prepare();
    const recent = await makeRecent(server);
    await server.kill();
    clock.set(offset);
    await server.start();
    await sleep(SWEEPS_MS);
    await recent.expectAllThere();
  });

  it.for(isLong ? ALL : [BACK])('$jump while an inspection waits for its next attempt does not make it wait longer', async ({ offset }) => {
    const { server, clock } = await prepare({ LANDFALL_PATIENCE: '500ms' });
    const { url, unblock } = await makeWaiting(server);
    clock.set(offset);
    await unblock();
    await expectAcceptedUnasked(url);
  });

  it.runIf(isLong).for(ALL)('$jump between two starts does not delay an inspection that had failed before', async ({ offset }) => {
    const { server, clock } = await prepare({ LANDFALL_PATIENCE: '500ms' });
    const { url, unblock } = await makeWaiting(server);
    await server.kill();
    clock.set(offset);
    await unblock();
    await server.start();
    await expectAcceptedUnasked(url);
  });
});

/** An upload whose inspection failed by a server fault, and will be tried again. */
async function makeWaiting(server: LandfallProcess) {
  const unblock = await blockStorage(server);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  expect((await patchUpload(url, 0, await videoBytes(LENGTH))).status).toBe(503);
  await expect.poll(() => server.log.some(({ msg }) => msg === 'fault while finishing')).toBe(true);
  return { url, unblock };
}

/** Its timeout is far below the jump. */
async function expectAcceptedUnasked(url: string): Promise<void> {
  await expect.poll(async () => (await readRecord(url)).state, { timeout: 120_000, interval: 100 }).toBe('accepted');
}
