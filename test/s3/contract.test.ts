// Staging and final storage in S3 keep the same contracts as those on disk.

import { Readable } from 'node:stream';
import { describe } from 'vitest';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { S3Staging } from '../../server/staging/s3/s3-staging.ts';
import { S3Storage } from '../../server/storage/s3-storage.ts';
import { testBodyIntake } from '../contract/body-intake.ts';
import { testPromises } from '../contract/promises.ts';
import { testStaging } from '../contract/staging.ts';
import { testStorage } from '../contract/storage.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { writeStaged } from '../support/write-staged.ts';

const MIB = 1024 * 1024;

async function openStaging() {
  const { bucket } = await testBucket();
  return new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 3, memoryBytes: 16 * MIB, maxUploadBytes: 1024 * MIB });
}

async function openStorage(copyThresholdBytes: number) {
  const { bucket, keys } = await testBucket();
  const staging = new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 3, memoryBytes: 16 * MIB, maxUploadBytes: 1024 * MIB });
  const storage = new S3Storage({ bucket, staging, copyThresholdBytes, delivery: { mode: 'stream', linkSeconds: 60 } });
  return {
    storage,
    async stage(id: UploadId, bytes: Uint8Array) {
      const signal = new AbortController().signal;
      const limits = { maxBytes: bytes.length, signal, bodyTimeoutMs: 10_000, completeBytes: bytes.length };
      await writeStaged(staging, id, 0, Readable.from([Buffer.from(bytes)]), limits);
    },
    unstage: (id: UploadId) => staging.remove(id),
    everything: async () => (await keys('files/')).map((key) => key.slice('files/'.length)),
  };
}

describe('staging in S3', () => {
  testStaging(openStaging);
});

describe('a body on its way to S3', () => {
  testBodyIntake(openStaging);
});

describe('final storage in S3', () => {
  testStorage(() => openStorage(5 * 1024 * MIB));
});

describe('final storage in S3, copied in parts', () => {
  testStorage(() => openStorage(500));
});

describe('docs/stores.md of staging in S3', () => {
  testPromises('Landfall in S3', async () => {
    const s3 = await testBucket();
    return {
      async open() {
        const { bucket } = s3;
        const limits = { concurrency: 3, memoryBytes: 64 * MIB, maxUploadBytes: 1024 * MIB };
        return { staging: new S3Staging({ bucket, partBytes: 8 * MIB, ...limits }) };
      },
      everything: async () => [...(await s3.keys()), ...(await s3.unfinished())],
    };
  });
});
