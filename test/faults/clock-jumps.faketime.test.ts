// The wall's clock jumps, at boot and while the server runs, over uploads in every state: none expires, and none waits, that was
// touched meanwhile. What one upload's deadlines are by is in clock.faketime.test.ts.
import { rename, rm, writeFile } from 'node:fs/promises';
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
/** Sweeps come each half second; what they would take is gone by then. */
const SWEEPS_MS = 2000;

const BACK = { jump: 'five hours back', offset: '-5h' };
/** Longer than an upload waits for its sender. */
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

/** Where final files belong there is a file for a while: every inspection has to be tried again. */
async function blockStorage({ dataDir }: LandfallProcess): Promise<() => Promise<void>> {
  const files = join(dataDir, 'files');
  await rename(files, `${files}.away`);
  await writeFile(files, '');
  return async () => {
    await rm(files);
    await rename(`${files}.away`, files);
  };
}

/** An upload that is half here, one that was refused, and one that can be asked for by its key: all of them a moment old. */
async function makeYoung({ files }: LandfallProcess) {
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

describe('a clock that jumps', () => {
  it.for(isLong ? ALL : [BACK, FORWARD])(
    '$jump while the server runs takes nothing that is young, nor a body under way',
    async ({ offset }) => {
      const { server, clock } = await prepare();
      const young = await makeYoung(server);
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
      await young.expectAllThere();
    },
  );

  it.for(isLong ? ALL : [FORWARD])('$jump between two starts takes nothing that is young', async ({ offset }) => {
    const { server, clock } = await prepare();
    const young = await makeYoung(server);
    await server.kill();
    clock.set(offset);
    await server.start();
    await sleep(SWEEPS_MS);
    await young.expectAllThere();
  });

  it.for(isLong ? ALL : [BACK])('$jump while an inspection waits for its next attempt does not make it wait longer', async ({ offset }) => {
    const { server, clock } = await prepare({ LANDFALL_PATIENCE: '500ms' });
    const { url, unblock } = await makeWaiting(server);
    clock.set(offset);
    await unblock();
    await expectAcceptedUnasked(url);
  });

  it.runIf(isLong).for(ALL)('$jump between two starts does not make an inspection wait that had failed before', async ({ offset }) => {
    const { server, clock } = await prepare({ LANDFALL_PATIENCE: '500ms' });
    const { url, unblock } = await makeWaiting(server);
    await server.kill();
    clock.set(offset);
    await unblock();
    await server.start();
    await expectAcceptedUnasked(url);
  });
});

/** An upload whose inspection failed by our fault, and is to be tried again. */
async function makeWaiting(server: LandfallProcess) {
  const unblock = await blockStorage(server);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  expect((await patchUpload(url, 0, await videoBytes(LENGTH))).status).toBe(503);
  await expect.poll(() => server.log.some(({ msg }) => msg === 'fault while finishing')).toBe(true);
  return { url, unblock };
}

/** Long before an hour is over. */
async function expectAcceptedUnasked(url: string): Promise<void> {
  await expect.poll(async () => (await readRecord(url)).state, { timeout: 120_000, interval: 100 }).toBe('accepted');
}
