// Ways in which another program changes a file while a page reads it, and the outcomes that are allowed.
import { appendFile, copyFile, open, truncate } from 'node:fs/promises';
import { expect, onTestFinished } from 'vitest';
import type {} from '../../client/element/define.ts';
import { sha256OfFile } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { storedHashes, video } from './page-driver.ts';

const MIB = 1024 * 1024;
const BYTES = 28 * MIB;

export interface Change {
  how: string;
  /** `other` is another file of the same length. */
  change(path: string, other: string): Promise<void>;
  /** Every browser or the client detects the change. Otherwise the server may store the whole old file or the whole new one. */
  isSeen: boolean;
}

export const CHANGES: readonly Change[] = [
  {
    how: 'overwritten in place',
    isSeen: true,
    change: (path, other) => copyFile(other, path),
  },
  {
    how: 'overwritten in a part that was read',
    isSeen: true,
    change: (path) => write(path, Buffer.alloc(MIB, 'x'), 2 * MIB),
  },
  {
    how: 'overwritten in a part that was not read yet',
    isSeen: false,
    change: (path) => write(path, Buffer.alloc(MIB, 'x'), BYTES - 2 * MIB),
  },
  { how: 'appended to', isSeen: false, change: (path) => appendFile(path, 'more') },
  { how: 'cut short', isSeen: true, change: (path) => truncate(path, 20 * MIB) },
];

async function write(path: string, bytes: Buffer, offset: number): Promise<void> {
  const file = await open(path, 'r+');
  await file.write(bytes, 0, bytes.length, offset);
  await file.close();
}

export interface SourcePage {
  goto(url: string): Promise<unknown>;
  choose(path: string): Promise<void>;
  evaluate<T>(script: () => T): Promise<Awaited<T>>;
}

const confirmed = () => document.querySelector('landfall-upload')?.snapshot.confirmed ?? 0;

const ended = () => {
  const [upload] = document.querySelector('landfall-upload')?.snapshot.uploads ?? [];
  return ['accepted', 'rejected', 'failed'].includes(upload?.state ?? '') ? upload?.state : undefined;
};

/** Changes the file when the server has a part of it, and checks which file the server stores in the end. */
export async function expectNoMixture(page: SourcePage, { change, isSeen }: Change): Promise<void> {
  const server = await embedLandfall({ corsOrigins: '*' });
  const proxy = await startFaultProxy({ upstream: server.url, bytesPerSecond: 8 * MIB });
  onTestFinished(() => proxy.close());
  const directory = testDirectory();
  const { path, sha256: before } = await video('film.mp4', BYTES, 1, directory);
  const other = await video('other.mp4', BYTES, 2, directory);
  await page.goto(`${proxy.url}/`);
  await page.choose(path);
  await expect.poll(() => page.evaluate(confirmed), { timeout: 90_000 }).toBeGreaterThanOrEqual(8 * MIB);
  await change(path, other.path);
  const after = await sha256OfFile(path);
  proxy.bytesPerSecond = Number.POSITIVE_INFINITY;
  await expect.poll(() => page.evaluate(ended), { timeout: 90_000 }).toBeDefined();
  const state = await page.evaluate(ended);
  const stored = Object.values(await storedHashes(server.dataDir));
  if (isSeen || state !== 'accepted') expect([state, stored]).toEqual(['failed', []]);
  else expect(stored).toEqual([expect.toSatisfy((hash) => [before, after].includes(hash))]);
}
