// A server that stages in @tus/s3-store, on the real S3.
import { S3Store } from '@tus/s3-store';
import { describe, expect, it, onTestFinished } from 'vitest';
import { testStoreServer } from '../contract/store-server.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { MIB, operationOf, s3Config, s3Error } from '../support/s3-landfall.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { createUpload, patchUpload } from '../support/tus-requests.ts';

/** Keys of all objects that are not final files. */
async function staged(s3: TestBucket): Promise<string[]> {
  const keys = (await s3.keys()).filter((key) => !key.startsWith('files/'));
  return [...keys, ...(await s3.unfinished())];
}

const finalFiles = async (s3: TestBucket) =>
  Promise.all((await s3.keys('files/')).map(async (key) => gathered(await s3.bucket.stream(key))));

describe('with @tus/s3-store by setting, published inside S3', () => {
  testStoreServer(async () => {
    const s3 = await testBucket();
    return { config: { ...s3Config(s3), staging: 's3-store' }, everything: () => staged(s3), files: () => finalFiles(s3) };
  });
});

it('is published by a copy inside S3 when S3 has the object, and is read when S3 does not', async () => {
  const s3 = await testBucket();
  const operations: string[] = [];
  let isThere = true;
  const proxy = await startFaultProxy({
    upstream: s3.options.endpoint,
    onRequest: (exchange) => {
      operations.push(operationOf(exchange));
      // A HEAD of the store's own object by Landfall's client; the store's own client does not use this proxy.
      const isAsked = exchange.method === 'HEAD' && /\/[0-9a-f]{32}$/.test(exchange.path);
      return isAsked && !isThere ? s3Error(404, 'NotFound') : undefined;
    },
  });
  onTestFinished(() => proxy.close());
  const bytes = await videoBytes(6 * MIB);
  const { name, options } = s3;
  const send = async () => {
    operations.length = 0;
    const { endpoint, region } = options;
    const s3ClientConfig = { bucket: name, endpoint, region, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' } as const;
    const { files, close } = await embedLandfall(s3Config(s3, proxy.url), { dataStore: new S3Store({ s3ClientConfig }) });
    const { url } = await createUpload(files, { length: bytes.byteLength, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes)).status).toBe(204);
    await close();
    return operations.includes('CopyObject');
  };
  expect(await send()).toBe(true);
  isThere = false;
  expect(await send()).toBe(false);
  expect((await finalFiles(s3)).map((file) => file.equals(bytes))).toEqual([true, true]);
});
