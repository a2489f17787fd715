// @tus/s3-store, wrapped by Landfall, keeps the same contract as Landfall's own staging.
import { S3Store } from '@tus/s3-store';
import { describe } from 'vitest';
import { testBodyIntake } from '../contract/body-intake.ts';
import { spoilable, testPromises } from '../contract/promises.ts';
import { testStaging } from '../contract/staging.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { openStoreStaging } from '../support/store-staging.ts';
import { testDirectory } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;

function storeOn({ name, options }: TestBucket, partSize: number): S3Store {
  const { endpoint, region } = options;
  return new S3Store({
    partSize,
    s3ClientConfig: { bucket: name, endpoint, region, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' },
  });
}

async function openStaging() {
  const s3 = await testBucket();
  return openStoreStaging(storeOn(s3, 5 * MIB), s3.options.prefix);
}

describe('staging in @tus/s3-store', () => {
  testStaging(openStaging);
});

describe('a body on its way to @tus/s3-store', () => {
  testBodyIntake(openStaging);
});

describe('docs/stores.md of @tus/s3-store', () => {
  testPromises('`@tus/s3-store`', async () => {
    const [s3, ledger] = [await testBucket(), testDirectory()];
    return {
      async open() {
        // With the store's default options.
        const store = storeOn(s3, 8 * MIB);
        const spoiled = spoilable(store);
        return { staging: await openStoreStaging(store, s3.options.prefix, ledger), spoiled };
      },
      everything: async () => [...(await s3.keys()), ...(await s3.unfinished())],
    };
  });
});
