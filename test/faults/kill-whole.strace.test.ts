// A small file is sent whole with its creation, and gets its row only once its bytes are durable: wherever the server is
// killed, it either has nothing of the file or accepts it.
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { filesBelow, sha256, sha256OfFile, videoBytes } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { ledgerRows } from '../support/sqlite-ledger.ts';
import { Strace, type ThreadName } from '../support/strace.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';

const LENGTH = 10_000;
const POLL = { timeout: 60_000, interval: 20 };

const STEPS: { name: string; calls: string; thread?: ThreadName }[] = [
  { name: 'making of the staged file', calls: 'openat', thread: 'landfall-disk' },
  { name: 'write of the bytes', calls: 'pwrite64', thread: 'landfall-disk' },
  { name: 'write to the ledger', calls: 'pwrite64' },
  { name: 'sync of the ledger', calls: 'fdatasync' },
  { name: 'link', calls: 'link,linkat', thread: 'landfall-disk' },
  { name: 'sync of the bytes or a directory', calls: 'fsync', thread: 'landfall-disk' },
  { name: 'unlink', calls: 'unlink,unlinkat', thread: 'landfall-disk' },
];

it.for(STEPS)('a server killed at its first, second, … $name accepts the whole file or has nothing of it', async ({ calls, thread }) => {
  const bytes = await videoBytes(LENGTH);
  const server = new LandfallProcess({ dataDir: testDirectory(), env: { UV_THREADPOOL_SIZE: '1' } });
  onTestFinished(() => server.kill());
  let answered = 0;
  let kills = 0;
  for (let n = 1; n < 100; n += Math.ceil(n / 3)) {
    if (!server.isRunning) await server.start();
    const strace = await Strace.attach(server.pid, [{ calls, effect: `signal=KILL:when=${n}` }], thread);
    const sent = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes }).catch(() => undefined);
    if (sent) {
      expect(sent).toMatchObject({ status: 201, offset: LENGTH });
      answered += 1;
      // The staged name is removed after the answer: the kill may still follow.
      await expect.poll(async () => !server.isRunning || (await staged(server)).length === 0, POLL).toBe(true);
    } else await server.ended();
    const isKilled = !server.isRunning;
    await strace.detach();
    if (isKilled) {
      kills += 1;
      await server.start();
    }
    await expect.poll(() => staged(server), POLL).toEqual([]);
    await expect.poll(() => states(server).filter((state) => state !== 'accepted'), POLL).toEqual([]);
    const files = await filesBelow(join(server.dataDir, 'files'));
    expect(files).toHaveLength(states(server).length);
    for (const file of files) expect(await sha256OfFile(join(server.dataDir, 'files', file))).toBe(sha256(bytes));
    expect(files.length).toBeGreaterThanOrEqual(answered);
    if (!isKilled) break;
  }
  expect(kills, 'the server never made this step, so no kill was tested').toBeGreaterThan(0);
});

it.for(['pwrite64', 'fsync'])('a failed %s of its bytes leaves nothing of the file, and the sender is told to try again', async (calls) => {
  const bytes = await videoBytes(LENGTH);
  const server = new LandfallProcess({ dataDir: testDirectory(), env: { UV_THREADPOOL_SIZE: '1' } });
  onTestFinished(() => server.kill());
  await server.start();
  const strace = await Strace.attach(server.pid, [{ calls, effect: 'error=EIO' }], 'landfall-disk');
  const sent = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes });
  expect(sent).toMatchObject({ status: 503, code: 'ERR_STORAGE_UNAVAILABLE' });
  await strace.detach();
  expect(await staged(server)).toEqual([]);
  expect(states(server)).toEqual([]);
  expect(await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes })).toMatchObject({
    status: 201,
    offset: LENGTH,
  });
});

function staged(server: LandfallProcess): Promise<string[]> {
  return filesBelow(join(server.dataDir, 'staging'));
}

function states(server: LandfallProcess): string[] {
  return ledgerRows(server.dataDir).map(({ state }) => state);
}
