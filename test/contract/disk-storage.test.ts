import { existsSync, mkdtempSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { DiskStaging } from '../../server/staging/disk/disk-staging.ts';
import { DiskStorage } from '../../server/storage/disk-storage.ts';
import { filesBelow } from '../support/content.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { uploadId } from '../support/upload-ids.ts';
import { writeStaged } from '../support/write-staged.ts';
import { testStorage } from './storage.ts';

async function open(root: string) {
  const staging = new DiskStaging(join(testDirectory(), 'staging'));
  await staging.prepare();
  const storage = new DiskStorage(root, staging);
  await storage.prepare();
  return {
    storage,
    root,
    async stage(id: UploadId, bytes: Uint8Array) {
      const signal = new AbortController().signal;
      const limits = { maxBytes: bytes.length, signal, bodyTimeoutMs: 10_000, completeBytes: bytes.length };
      await writeStaged(staging, id, 0, Readable.from([Buffer.from(bytes)]), limits);
      await staging.sync(id);
    },
    unstage: (id: UploadId) => staging.remove(id),
    everything: () => filesBelow(root),
  };
}

describe('final storage on the disk of staging', () => {
  testStorage(() => open(join(testDirectory(), 'files')));

  it('lets its group read, and others nothing', async () => {
    const { storage, stage, root } = await open(join(testDirectory(), 'files'));
    const id = uploadId('a');
    await stage(id, Buffer.alloc(10));
    await storage.publish({ id, directory: `2020/01/02/${id}`, name: 'a.mp4', type: 'video/mp4', attempt: 1 });
    const modeOf = (path: string) => (statSync(join(root, path)).mode & 0o777).toString(8);
    expect(modeOf(`2020/01/02/${id}/a.mp4`)).toBe('640');
    for (const directory of ['.', '2020', '2020/01', '2020/01/02', `2020/01/02/${id}`]) expect(modeOf(directory)).toBe('750');
  });
});

// Memory is another device: no link is possible.
describe.runIf(existsSync('/dev/shm'))('final storage on another device', () => {
  testStorage(() => {
    const root = mkdtempSync('/dev/shm/landfall-test-');
    onTestFinished(() => rm(root, { recursive: true, force: true }));
    return open(root);
  });
});
