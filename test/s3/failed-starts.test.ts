// A start that fails on S3 leaves nothing behind, and the next start succeeds once the fault is fixed.
import { describe, expect, it, onTestFinished } from 'vitest';
import { createLandfall } from '../../server/index.ts';
import { type Exchange, startFaultProxy } from '../support/fault-proxy.ts';
import { leftBehind } from '../support/left-behind.ts';
import { operationOf, s3Config, s3Error } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';

describe('a start that fails', () => {
  it.for([
    { what: 'S3 refuses everything', isRefused: () => true },
    { what: 'S3 refuses to list staged objects', isRefused: (exchange: Exchange) => operationOf(exchange) === 'ListObjects' },
    { what: 'S3 refuses to list unfinished uploads', isRefused: (exchange: Exchange) => operationOf(exchange) === 'ListMultipartUploads' },
  ])('because $what leaves nothing behind, and the next one succeeds once the fault is fixed', async ({ isRefused }) => {
    const s3 = await testBucket();
    let isBroken = true;
    const proxy = await startFaultProxy({
      upstream: s3.options.endpoint,
      onRequest: (exchange) => (isBroken && isRefused(exchange) ? s3Error(403, 'AccessDenied') : undefined),
    });
    onTestFinished(() => proxy.close());
    const dataDir = testDirectory();
    const landfall = createLandfall({ ...s3Config(s3, proxy.url), dataDir, logLevel: 'silent' });
    onTestFinished(() => landfall.close());
    await expect(landfall.start()).rejects.toThrow(/does not let these credentials use the bucket/);
    await expect.poll(() => leftBehind(dataDir)).toEqual([]);
    isBroken = false;
    await landfall.start();
  });
});
