// @tus/s3-store keeps the contract that Landfall's own staging keeps.
import { S3Store } from '@tus/s3-store';
import { describe } from 'vitest';
import { testBodyIntake } from '../contract/body-intake.ts';
import { testStaging } from '../contract/staging.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { openStoreStaging } from '../support/store-staging.ts';

const MIB = 1024 * 1024;

async function openStaging() {
  const { name, options } = await testBucket();
  const { endpoint, region, prefix } = options;
  const store = new S3Store({
    partSize: 5 * MIB,
    s3ClientConfig: { bucket: name, endpoint, region, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' },
  });
  return openStoreStaging(store, prefix);
}

describe('staging in @tus/s3-store', () => {
  testStaging(openStaging);
});

describe('a body on its way to @tus/s3-store', () => {
  testBodyIntake(openStaging);
});
