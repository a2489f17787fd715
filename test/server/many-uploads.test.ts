// Many slow uploads at once: the descriptors that they cost, and their bytes after all senders left at one moment.
import { readdirSync, readlinkSync, statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload } from '../support/tus-requests.ts';

const UPLOADS = process.env.LANDFALL_TEST_LONG === '1' ? 2000 : 100;
const LENGTH = 200_000;
const PIECE_BYTES = 3000;
/** Files that are open at any moment: one for each thread of Node's pool, which syncs, and one for the thread of small writes. */
const PASSING = 5;

interface Sent {
  url: string;
  socket: Socket;
}

/** The number of descriptors that lead to staged files. */
function openFiles({ pid, dataDir }: LandfallProcess): number {
  const links = readdirSync(`/proc/${pid}/fd`).map((descriptor) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${descriptor}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.startsWith(join(dataDir, 'staging/'))).length;
}

function storedBytes({ dataDir }: LandfallProcess, url: string): number {
  const id = idOf(url);
  return statSync(join(dataDir, 'staging', id.slice(0, 2), id), { throwIfNoEntry: false })?.size ?? 0;
}

async function begin(server: LandfallProcess, bytes: Buffer): Promise<Sent> {
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  const socket = await openSocket(url);
  onTestFinished(() => void socket.destroy());
  socket.write(patchHead(url, 0, LENGTH));
  socket.write(bytes.subarray(0, PIECE_BYTES));
  return { url, socket };
}

async function atATime<T, R>(count: number, items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += count) results.push(...(await Promise.all(items.slice(at, at + count).map(work))));
  return results;
}

async function start(env: Record<string, string> = {}): Promise<LandfallProcess> {
  const server = await startLandfall({ dataDir: testDirectory(), env });
  onTestFinished(() => server.kill());
  return server;
}

describe('many slow uploads at once', () => {
  for (const [durability, how] of [
    ['chunk', 'reset'],
    ['finish', 'closed'],
  ] as const) {
    it(`have no file open between their writes, and lose no byte when all connections are ${how} (durability ${durability})`, async () => {
      const server = await start({ LANDFALL_DURABILITY: durability });
      const bytes = await videoBytes(LENGTH);
      const sent = await atATime(25, Array.from({ length: UPLOADS }), () => begin(server, bytes));
      for (let piece = 1; piece < 4; piece++) {
        const end = piece * PIECE_BYTES;
        await expect.poll(() => sent.filter(({ url }) => storedBytes(server, url) < end).length).toBe(0);
        expect(openFiles(server)).toBeLessThanOrEqual(PASSING);
        for (const { socket } of sent) socket.write(bytes.subarray(end, end + PIECE_BYTES));
      }
      await expect.poll(() => sent.filter(({ url }) => storedBytes(server, url) < 4 * PIECE_BYTES).length).toBe(0);
      await expect.poll(() => openFiles(server)).toBe(0);
      for (const { socket } of sent) {
        if (how === 'reset') socket.resetAndDestroy();
        else socket.destroy();
      }
      const offsets = await atATime(25, sent, async ({ url }) => (await headUpload(url)).offset);
      expect(new Set(offsets)).toEqual(new Set([4 * PIECE_BYTES]));
      const url = sent[0]?.url ?? '';
      expect(await patchUpload(url, 4 * PIECE_BYTES, bytes.subarray(4 * PIECE_BYTES))).toMatchObject({ status: 204, offset: LENGTH });
    });
  }

  it('keep their bytes when the process is killed', async () => {
    const server = await start();
    const bytes = await videoBytes(LENGTH);
    const sent = await atATime(20, Array.from({ length: 20 }), () => begin(server, bytes));
    await expect.poll(() => sent.filter(({ url }) => storedBytes(server, url) < PIECE_BYTES).length).toBe(0);
    await server.kill();
    await server.start();
    for (const { url } of sent) expect((await headUpload(url)).offset).toBe(PIECE_BYTES);
  });
});
