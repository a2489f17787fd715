// Staging in one kind of place, and final files in another.
import { describe } from 'vitest';
import { testStoreServer } from '../contract/store-server.ts';
import { filesBelow, gathered } from '../support/content.ts';
import { s3Config } from '../support/s3-landfall.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';

/** Keys of all objects that are not final files. */
async function staged(s3: TestBucket): Promise<string[]> {
  const keys = (await s3.keys()).filter((key) => !key.startsWith('files/'));
  return [...keys, ...(await s3.unfinished())];
}

const finalFiles = async (s3: TestBucket) =>
  Promise.all((await s3.keys('files/')).map(async (key) => gathered(await s3.bucket.stream(key))));

describe('with @tus/s3-store by setting, published to a disk', () => {
  testStoreServer(async () => {
    const s3 = await testBucket();
    return { config: { ...s3Config(s3), storageBackend: 'disk', staging: 's3-store' }, everything: () => staged(s3) };
  });
});

describe('with @tus/file-store, published to S3', () => {
  testStoreServer(async () => {
    const s3 = await testBucket();
    const fileStoreDir = testDirectory();
    return {
      config: { ...s3Config(s3), staging: 'file-store', fileStoreDir },
      everything: () => filesBelow(fileStoreDir),
      files: () => finalFiles(s3),
    };
  });
});
