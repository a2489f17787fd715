// A crash at any step of the finish leads to the same single verdict: the server is killed at each step in turn. Each way to
// publish has its own test file, since each takes long.
import { mkdtempSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { filesBelow, sha256, sha256OfFile, videoBytes } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { Strace, type Tampering, type ThreadName } from '../support/strace.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
// The long version kills a server that reads more than one page of bytes.
const LENGTH = isLong ? 16 * 1024 * 1024 : 200_000;

export interface Engine {
  name: string;
  /** Directory of final files; undefined: beside staging, on its device. */
  storageDir: () => string | undefined;
  also: Tampering[];
}

/** /dev/shm is a device of its own, so bytes staged on disk cannot be linked there. */
export function otherDevice(): string {
  const path = mkdtempSync('/dev/shm/landfall-test-');
  onTestFinished(() => rm(path, { recursive: true, force: true }));
  expect(statSync(path).dev, 'the temporary directory is on the device of /dev/shm').not.toBe(statSync(testDirectory()).dev);
  return path;
}

interface Step {
  name: string;
  calls: string;
  /** The thread whose calls are counted; undefined: any thread, each counted by itself, of which only one makes these calls. */
  thread?: ThreadName;
  engines: string[];
  /** Too frequent to try each one in the short version. */
  isMany?: boolean;
  /** Publishes the first file of a new directory each time, so that the day's directories are always made and synced. */
  isFirst?: boolean;
}

const STEPS: Step[] = [
  { name: 'fsync of a file', calls: 'fsync', thread: 'libuv-worker', engines: ['link', 'copy', 'rename'] },
  { name: 'fsync of a directory', calls: 'fsync', thread: 'landfall-disk', engines: ['link', 'copy', 'rename'], isFirst: true },
  { name: 'fdatasync', calls: 'fdatasync', engines: ['link', 'copy', 'rename'] },
  { name: 'link', calls: 'link,linkat', thread: 'landfall-disk', engines: ['link', 'copy'] },
  { name: 'link of the copy', calls: 'link,linkat', thread: 'libuv-worker', engines: ['copy'] },
  { name: 'unlink', calls: 'unlink,unlinkat', thread: 'landfall-disk', engines: ['link'] },
  { name: 'unlink', calls: 'unlink,unlinkat', thread: 'libuv-worker', engines: ['copy', 'rename'] },
  { name: 'rename', calls: 'rename,renameat,renameat2', engines: ['rename'] },
  { name: 'mkdir', calls: 'mkdir,mkdirat', engines: ['link', 'copy'], isFirst: true },
  { name: 'write to the ledger', calls: 'pwrite64', engines: ['link', 'copy'], isMany: true },
  { name: 'write of the copy', calls: 'pwrite64', thread: 'libuv-worker', engines: ['copy', 'rename'] },
  { name: 'write to the log or a socket', calls: 'write,writev', engines: ['link'], isMany: true },
];

/** 1, 2, 3, … or, for a frequent step in the short version, at growing distances. */
function* counts(isMany: boolean): Generator<number> {
  for (let n = 1; n < 500; n += isMany && !isLong && n >= 3 ? Math.ceil(n / 3) : 1) yield n;
}

/** Sends the held byte, then waits until the finish is done or the server is dead. */
async function finish(server: LandfallProcess, url: string, bytes: Buffer<ArrayBuffer>): Promise<void> {
  try {
    expect(await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1))).toMatchObject({ status: 204, offset: LENGTH });
    // The staged name is removed after the answer: the kill may still follow.
    await expect.poll(async () => !server.isRunning || (await staged(server)).length === 0, POLL).toBe(true);
    await readRecord(url);
  } catch (error) {
    // A lost answer is caused by the kill; any other error fails the test.
    if (!(error instanceof TypeError)) throw error;
    await server.ended();
  }
}

/** A server, not started yet, on empty directories. */
function createServer({ storageDir: storageFor }: Engine): { server: LandfallProcess; storageDir: string } {
  const dataDir = testDirectory();
  const storageDir = storageFor();
  const env = { UV_THREADPOOL_SIZE: '1', ...(storageDir === undefined ? {} : { LANDFALL_STORAGE_DIR: storageDir }) };
  const server = new LandfallProcess({ dataDir, env });
  onTestFinished(() => server.kill());
  return { server, storageDir: storageDir ?? join(dataDir, 'files') };
}

const POLL = { timeout: 60_000, interval: 20 };

function staged(server: LandfallProcess): Promise<string[]> {
  return filesBelow(join(server.dataDir, 'staging'));
}

export function testKills(engine: Engine): void {
  it.for(STEPS.filter(({ engines }) => engines.includes(engine.name)))(
    'killed at its first, second, … $name, ends in one verdict',
    async ({ calls, thread, isMany = false, isFirst = false }) => {
      const bytes = await videoBytes(LENGTH);
      let { server, storageDir } = createServer(engine);
      let uploads = 0;
      let kills = 0;
      for (const n of counts(isMany)) {
        if (isFirst) {
          await server.kill();
          ({ server, storageDir } = createServer(engine));
          uploads = 0;
        }
        if (!server.isRunning) await server.start();
        const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', body: bytes.subarray(0, LENGTH - 1) });
        uploads += 1;
        const strace = await Strace.attach(server.pid, [...engine.also, { calls, effect: `signal=KILL:when=${n}` }], thread);
        const other = thread === 'landfall-disk' ? 'libuv-worker' : 'landfall-disk';
        const beside = thread && engine.also.length > 0 ? await Strace.attach(server.pid, engine.also, other) : undefined;
        await finish(server, url, bytes);
        const isKilled = !server.isRunning;
        await strace.detach();
        await beside?.detach();
        if (isKilled) {
          kills += 1;
          await server.start();
          // The next start resumes the inspection by itself; a byte that was not stored is sent again.
          const { status, offset } = await headUpload(url);
          expect(status).toBe(200);
          if (offset !== LENGTH) {
            expect(await patchUpload(url, LENGTH - 1, bytes.subarray(LENGTH - 1))).toMatchObject({ status: 204, offset: LENGTH });
          }
        }
        expect(await headUpload(url)).toMatchObject({ status: 200, offset: LENGTH });
        expect(await readRecord(url)).toMatchObject({ state: 'accepted', offset: LENGTH, name: 'film.mp4' });
        await expect.poll(() => staged(server), POLL).toEqual([]);
        const files = await filesBelow(storageDir);
        expect(files).toHaveLength(uploads);
        const own = files.filter((file) => file.includes(idOf(url)));
        expect(own).toEqual([expect.stringMatching(/^\d{4}\/\d{2}\/\d{2}\/[0-9a-f]{32}\/film\.mp4$/)]);
        expect(await sha256OfFile(join(storageDir, own[0] ?? ''))).toBe(sha256(bytes));
        if (!isKilled) break;
      }
      expect(kills, 'the finish never made this step, so no kill was tested').toBeGreaterThan(0);
    },
  );
}
