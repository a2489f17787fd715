// A file that could not be made durable is never accepted; a failed fsync is never repeated on the same file.
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesBelow, sha256, sha256OfFile, videoBytes } from '../support/content.ts';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { Strace } from '../support/strace.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
const LENGTH = 300_000;

async function startPrepared(): Promise<{ server: LandfallProcess; url: string; bytes: Buffer<ArrayBuffer> }> {
  const server = await startLandfall({ dataDir: testDirectory(), env: { UV_THREADPOOL_SIZE: '1', LANDFALL_PATIENCE: '500ms' } });
  onTestFinished(() => server.kill());
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, LENGTH - 1) });
  return { server, url, bytes };
}

async function expectOneFile(server: LandfallProcess, bytes: Buffer): Promise<void> {
  const files = await filesBelow(join(server.dataDir, 'files'));
  expect(files).toEqual([expect.stringMatching(/\/film\.mp4$/)]);
  expect(await sha256OfFile(join(server.dataDir, 'files', files[0] ?? ''))).toBe(sha256(bytes));
  await expect.poll(() => filesBelow(join(server.dataDir, 'staging'))).toEqual([]);
}

describe('an fsync that fails', () => {
  it.for(['EIO', 'ENOSPC'])('always with %s keeps the upload from being accepted until it succeeds', async (errno) => {
    const { server, url, bytes } = await startPrepared();
    const strace = await Strace.attach(server.pid, [{ calls: 'fsync', effect: `error=${errno}` }]);
    for (let asked = 0; asked < 3; asked++) {
      const answer = await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1));
      expect(`${answer.status} ${answer.offset ?? ''}`).toMatch(new RegExp(`^(?:50[37] |204 ${LENGTH - 1})$`));
      expect(answer.text).not.toMatch(/EIO|ENOSPC|fsync/);
      const asks = await headUpload(url);
      expect(asks.status).toBeLessThan(500);
      expect(asks.offset ?? 0).toBeLessThan(LENGTH);
    }
    expect((await readRecord(url)).state).not.toBe('accepted');
    await strace.detach();
    await expect
      .poll(async () => (await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1))).offset, { timeout: 60_000 })
      .toBe(LENGTH);
    await expectOneFile(server, bytes);
  });

  it.for([
    { what: 'file', thread: 'libuv-worker', nth: 1 },
    { what: 'directory', thread: 'landfall-disk', nth: 1 },
    { what: 'directory', thread: 'landfall-disk', nth: 2 },
    { what: 'directory', thread: 'landfall-disk', nth: 3 },
    { what: 'directory', thread: 'landfall-disk', nth: 4 },
  ] as const)('once, no. $nth of a $what, still leads to one complete file', async ({ thread, nth }) => {
    const { server, url, bytes } = await startPrepared();
    const strace = await Strace.attach(server.pid, [{ calls: 'fsync', effect: `error=EIO:when=${nth}` }], thread);
    await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1));
    await expect
      .poll(async () => (await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1))).offset, { timeout: 60_000 })
      .toBe(LENGTH);
    const calls = await strace.calls();
    await strace.detach();
    expect(calls.filter((line) => line.includes('INJECTED'))).toHaveLength(1);
    await expectOneFile(server, bytes);
  });

  // Seventeen seconds each.
  it.for(isLong ? [1, 2] : [1])('on the ledger from no. %s on keeps the verdict secret until it is durable', async (nth) => {
    const { server, url, bytes } = await startPrepared();
    const strace = await Strace.attach(server.pid, [{ calls: 'fdatasync', effect: `error=EIO:when=${nth}+` }]);
    const last = patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1));
    const isFailing = async () => (await strace.calls()).some((line) => line.includes('INJECTED'));
    await expect.poll(isFailing, { timeout: 60_000 }).toBe(true);
    const asked = [await last, await headUpload(url), await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1))];
    for (const { status, offset } of asked) {
      expect(status).not.toBe(500);
      expect(offset ?? 0).toBeLessThan(LENGTH);
    }
    await strace.detach();
    await expect
      .poll(async () => (await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1))).offset, { timeout: 60_000 })
      .toBe(LENGTH);
    await expectOneFile(server, bytes);
  });
});

describe('a link that fails', () => {
  it.for(['EXDEV', 'EPERM', 'EMLINK'])('with %s makes the server copy, and leaves no partial file', async (errno) => {
    const { server, url, bytes } = await startPrepared();
    const strace = await Strace.attach(server.pid, [{ calls: 'link,linkat', effect: `error=${errno}:when=1` }], 'landfall-disk');
    expect(await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1))).toMatchObject({ status: 204, offset: LENGTH });
    await strace.detach();
    await expectOneFile(server, bytes);
  });
});
