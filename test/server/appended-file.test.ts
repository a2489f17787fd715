// Files of uploads that are receiving: how long they are open, and what a failed sync means for later ones.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { DiskThread } from '../../server/disk/disk-thread.ts';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { StagedSyncs } from '../../server/staging/disk/staged-syncs.ts';
import { videoBytes } from '../support/content.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { uploadId } from '../support/upload-ids.ts';

const ID = uploadId('a');
const KIB = 1024;

async function openStaging(): Promise<DiskStaging> {
  const staging = new DiskStaging(testDirectory());
  await staging.prepare();
  onTestFinished(() => staging.close());
  return staging;
}

async function openWriter(staging: DiskStaging, completeBytes: number | null = null) {
  const writer = await staging.openWriter(ID, 0, { completeBytes });
  onTestFinished(() => writer.close());
  return writer;
}

/** How many descriptors of this process lead to the file. */
function timesOpen(path: string): number {
  const links = readdirSync('/proc/self/fd').map((descriptor) => {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link === path).length;
}

describe('the file of an upload that is receiving', () => {
  it('is closed between small writes', async () => {
    const staging = await openStaging();
    const writer = await openWriter(staging);
    const bytes = await videoBytes(40 * KIB);
    for (let at = 0; at < bytes.byteLength; at += 4 * KIB) {
      await writer.write([bytes.subarray(at, at + 4 * KIB)]);
      expect(timesOpen(staging.path(ID))).toBe(0);
    }
    await writer.sync();
    expect(timesOpen(staging.path(ID))).toBe(0);
    expect(readFileSync(staging.path(ID)).equals(bytes)).toBe(true);
  });

  it('stays open between large writes, and is closed when none follows', async () => {
    const staging = await openStaging();
    const writer = await openWriter(staging);
    const bytes = await videoBytes(3 * 512 * KIB);
    await writer.write([bytes.subarray(0, 512 * KIB)]);
    expect(timesOpen(staging.path(ID))).toBe(1);
    await expect.poll(() => timesOpen(staging.path(ID)), { timeout: 10_000 }).toBe(0);
    await writer.write([bytes.subarray(512 * KIB, 516 * KIB)]);
    await writer.write([bytes.subarray(516 * KIB)]);
    await writer.sync();
    await writer.close();
    expect(timesOpen(staging.path(ID))).toBe(0);
    expect(readFileSync(staging.path(ID)).equals(bytes)).toBe(true);
  });

  it('is durable and closed after its last byte', async () => {
    const staging = await openStaging();
    const writer = await openWriter(staging, 11);
    await writer.write([Buffer.from('some ')]);
    await writer.write([Buffer.from('bytes.')]);
    expect(await writer.end(true)).toBe('durable');
    await writer.close();
    expect(timesOpen(staging.path(ID))).toBe(0);
    expect(readFileSync(staging.path(ID), 'utf8')).toBe('some bytes.');
  });

  it('is not created again by a write after it was removed', async () => {
    const staging = await openStaging();
    const writer = await openWriter(staging);
    await writer.write([Buffer.from('bytes')]);
    await staging.remove(ID);
    await expect(writer.write([Buffer.from('more')])).rejects.toMatchObject({ code: 'ENOENT' });
    await expect(writer.write([Buffer.alloc(64 * KIB)])).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await staging.size(ID)).toBe(0);
  });
});

describe('a failed sync', () => {
  const failure = Object.assign(new Error('EIO: the disk failed'), { code: 'EIO' });

  /** A file that reports its failed write-back once, as the system does to a descriptor that is opened later. */
  function fileThatFails(size: number) {
    const errors: Error[] = [failure];
    let running = 0;
    let most = 0;
    const datasync = async () => {
      running += 1;
      most = Math.max(most, running);
      await new Promise((resolve) => setImmediate(resolve));
      running -= 1;
      const error = errors.shift();
      if (error) throw error;
    };
    return { file: { datasync, sync: datasync, size: async () => size }, most: () => most };
  }

  it('counts for the syncs that were asked for beside it, and for later ones', async () => {
    const syncs = new StagedSyncs();
    const { file, most } = fileThatFails(100);
    const results = await Promise.allSettled([syncs.run(ID, file, 'datasync'), syncs.run(ID, file, 'sync'), syncs.run(ID, file, 'sync')]);
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected']);
    expect(most()).toBe(1);
    await expect(syncs.run(ID, file, 'sync')).rejects.toBe(failure);
    await syncs.run(uploadId('b'), file, 'sync');
  });

  it('counts until its bytes are removed', async () => {
    const syncs = new StagedSyncs();
    const { file } = fileThatFails(100);
    await expect(syncs.run(ID, file, 'sync')).rejects.toBe(failure);
    syncs.resume(ID, 100);
    await expect(syncs.run(ID, file, 'sync')).rejects.toBe(failure);
    // Another process went back to the proven offset.
    syncs.resume(ID, 40);
    await syncs.run(ID, file, 'sync');
  });
});

describe('the disk thread', () => {
  function startThread(): DiskThread {
    const thread = new DiskThread();
    onTestFinished(() => thread.close());
    return thread;
  }

  it('takes more small writes at once than fit into its memory, each to its place', async () => {
    const thread = startThread();
    const directory = testDirectory();
    const bytes = await videoBytes(32 * KIB);
    const paths = Array.from({ length: 100 }, (_, index) => join(directory, String(index)));
    const halves = [bytes.subarray(0, 1000), bytes.subarray(1000)];
    const written = await Promise.all(
      paths.map((path) => thread.write({ path, position: 10, buffers: halves, bytes: bytes.byteLength, mayCreate: true })),
    );
    expect(new Set(written)).toEqual(new Set([bytes.byteLength]));
    for (const path of paths) expect(readFileSync(path).equals(Buffer.concat([Buffer.alloc(10), bytes]))).toBe(true);
  });

  it('reports the outcome of each small write to its caller', async () => {
    const thread = startThread();
    const path = join(testDirectory(), 'file');
    const write = { position: 0, buffers: [Buffer.from('x')], bytes: 1 };
    const [created, missing] = await Promise.allSettled([
      thread.write({ path, ...write, mayCreate: true }),
      thread.write({ path: `${path}-2`, ...write, mayCreate: false }),
    ]);
    expect(created).toMatchObject({ status: 'fulfilled', value: 1 });
    expect(missing).toMatchObject({ status: 'rejected', reason: { code: 'ENOENT' } });
    await thread.close();
    await expect(thread.write({ path, ...write, mayCreate: false })).rejects.toThrow('closed');
  });
});
