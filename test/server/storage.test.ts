// Requirements for a disk beyond the contract of a storage.
import { existsSync, mkdtempSync, readdirSync, statSync } from 'node:fs';
import { link, mkdir, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import { newUploadId, type UploadId } from '../../server/ledger/upload-id.ts';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { DiskStorage } from '../../server/storage/disk-storage.ts';
import { testDirectory } from '../support/temp-dir.ts';

async function openStorage(root: string, stagingRoot = join(testDirectory(), 'staging')) {
  const staging = new DiskStaging(stagingRoot);
  await staging.prepare();
  const storage = new DiskStorage(root, staging);
  await storage.prepare();
  const stage = (id: UploadId, bytes: Uint8Array) => writeFile(staging.path(id), bytes, { mode: 0o640 });
  return { storage, staging, stage };
}

/** A directory on another device, if the machine has one: nothing can be linked into it. */
function elsewhere(): string | undefined {
  try {
    if (statSync('/dev/shm').dev === statSync(tmpdir()).dev) return undefined;
    const path = mkdtempSync('/dev/shm/landfall-test-');
    onTestFinished(() => rm(path, { recursive: true, force: true }));
    return path;
  } catch {
    return undefined;
  }
}

async function textOf(stream: Readable): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}

describe('publishing on the disk of the staged bytes', () => {
  it('does not copy, and makes directories and files that others may not enter', async () => {
    const root = join(testDirectory(), 'files');
    const { storage, staging, stage } = await openStorage(root);
    const id = newUploadId();
    await stage(id, Buffer.from('content'));
    await storage.publish({ id, directory: `2020/01/02/${id}`, name: 'a.txt', type: 'video/mp4', attempt: 1 });
    const path = join(root, '2020/01/02', id, 'a.txt');
    expect((await stat(path)).ino).toBe((await stat(staging.path(id))).ino);
    for (const directory of [root, join(root, '2020'), join(root, '2020/01'), join(root, '2020/01/02'), join(root, '2020/01/02', id)]) {
      expect((await stat(directory)).mode & 0o777).toBe(0o750);
    }
    expect((await stat(path)).mode & 0o777).toBe(0o640);
  });

  it('succeeds again after the whole tree was deleted in between', async () => {
    const root = join(testDirectory(), 'files');
    const { storage, stage } = await openStorage(root);
    for (const text of ['one', 'two', 'three']) {
      const id = newUploadId();
      await stage(id, Buffer.from(text));
      await storage.publish({ id, directory: `2020/01/02/${id}`, name: 'a.txt', type: 'video/mp4', attempt: 1 });
      expect(await textOf(storage.read(`2020/01/02/${id}`, 'a.txt'))).toBe(text);
      await rm(join(root, '2020'), { recursive: true });
    }
  });
});

describe('publishing on another device', () => {
  it('copies, leaves no partial copy, and deletes one that a crash left', async ({ skip }) => {
    const root = elsewhere();
    if (root === undefined) return skip('there is no second device');
    const { storage, staging, stage } = await openStorage(root);
    const id = newUploadId();
    await stage(id, Buffer.alloc(300_000, 7));
    const folder = join(root, '2020/01/02', id);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${id}.1.part`), 'half');
    await storage.publish({ id, directory: `2020/01/02/${id}`, name: 'a.bin', type: 'video/mp4', attempt: 2 });
    expect(await readdir(folder)).toEqual(['a.bin']);
    const { ino, mode, size, nlink } = await stat(join(folder, 'a.bin'));
    expect({ mode: mode & 0o777, size, nlink }).toEqual({ mode: 0o640, size: 300_000, nlink: 1 });
    expect(ino).not.toBe((await stat(staging.path(id))).ino);
  });

  it('stops in the middle of the copy when the lease is lost, and leaves nothing', async ({ skip }) => {
    const root = elsewhere();
    if (root === undefined) return skip('there is no second device');
    const { storage, stage } = await openStorage(root);
    const id = newUploadId();
    const bytes = 8 * 1024 * 1024;
    await stage(id, Buffer.alloc(bytes, 7));
    const folder = join(root, '2020/01/02', id);
    const lost = new AbortController();
    let copied = 0;
    // The signal is checked before each piece is written.
    lost.signal.throwIfAborted = () => {
      const [part] = existsSync(folder) ? readdirSync(folder) : [];
      copied = part === undefined ? 0 : statSync(join(folder, part)).size;
      if (copied > 0) lost.abort('lost');
      AbortSignal.prototype.throwIfAborted.call(lost.signal);
    };
    const target = { id, directory: `2020/01/02/${id}`, name: 'a.bin', type: 'video/mp4', attempt: 1 };
    await expect(storage.publish(target, lost.signal)).rejects.toBe('lost');
    expect(copied).toBeLessThan(bytes);
    expect(await readdir(folder)).toEqual([]);
  });

  it('continues after a crash between the link and the end of the copy', async ({ skip }) => {
    const root = elsewhere();
    if (root === undefined) return skip('there is no second device');
    const { storage, stage } = await openStorage(root);
    const id = newUploadId();
    await stage(id, Buffer.from('content'));
    const folder = join(root, '2020/01/02', id);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${id}.1.part`), 'content');
    await link(join(folder, `${id}.1.part`), join(folder, 'a.txt'));
    await storage.publish({ id, directory: `2020/01/02/${id}`, name: 'a.txt', type: 'video/mp4', attempt: 2 });
    expect(await readdir(folder)).toEqual(['a.txt']);
    expect((await stat(join(folder, 'a.txt'))).nlink).toBe(1);
  });
});
