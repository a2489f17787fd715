// Faults of S3 under @tus/s3-store inside Landfall. What the stock store does with them in its own server is in faults.test.ts.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { S3Store } from '@tus/s3-store';
import { describe, expect, it, onTestFinished } from 'vitest';
import { filesBelow, videoBytes } from '../support/content.ts';
import { type Exchange, type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { MIB, operationOf, partNumberOf, s3Error } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 23 * MIB;

describe('Landfall on the stock store under faults of S3', () => {
  async function serve(plan: (exchange: Exchange) => Fault | undefined) {
    const s3 = await testBucket();
    const proxy = await startFaultProxy({ upstream: s3.options.endpoint, onRequest: plan });
    onTestFinished(() => proxy.close());
    const { name, options } = s3;
    const dataStore = new S3Store({
      partSize: 5 * MIB,
      s3ClientConfig: {
        bucket: name,
        endpoint: proxy.url,
        region: options.region,
        forcePathStyle: true,
        requestChecksumCalculation: 'WHEN_REQUIRED',
      },
    });
    const server = await embedLandfall({ maxUploadSize: 1024 * MIB }, { dataStore });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const files = async () => {
      const root = join(server.dataDir, 'files');
      return Promise.all((await filesBelow(root)).map((path) => readFile(join(root, path))));
    };
    return { ...server, bytes, url, finalFiles: files };
  }

  const isPart = (number: number) => (exchange: Exchange) => operationOf(exchange) === 'UploadPart' && partNumberOf(exchange) === number;

  it.for([
    ['a part that fails once', isPart(2), 1],
    ['a SlowDown', (exchange: Exchange) => operationOf(exchange) === 'UploadPart', 2],
    ['a completion that fails', (exchange: Exchange) => operationOf(exchange) === 'CompleteMultipartUpload', 4],
  ] as const)('waits and tries again: %s', async ([, isMeant, times]) => {
    let count = 0;
    const { url, bytes, finalFiles } = await serve((exchange) =>
      isMeant(exchange) && count++ < times ? s3Error(503, 'SlowDown') : undefined,
    );
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 204, offset: LENGTH });
    expect(count).toBeGreaterThanOrEqual(times);
    expect((await finalFiles()).map((file) => file.equals(bytes))).toEqual([true]);
  });

  it('reports a part that keeps failing as a server fault, and the upload resumes where it was', async () => {
    let isAway = true;
    const { url, bytes, finalFiles } = await serve((exchange) =>
      isAway && isPart(3)(exchange) ? s3Error(403, 'AccessDenied') : undefined,
    );
    expect((await patchUpload(url, 0, bytes)).status).toBe(503);
    isAway = false;
    const { offset = -1 } = await headUpload(url);
    expect(offset).toBe(10 * MIB);
    expect((await patchUpload(url, offset, bytes.subarray(offset))).status).toBe(204);
    expect((await finalFiles()).map((file) => file.equals(bytes))).toEqual([true]);
  });

  it('loses no acknowledged byte when a request fails after one that did not fill a part', async () => {
    let times = 0;
    const { url, bytes, finalFiles } = await serve((exchange) => {
      if (times === 0 || operationOf(exchange) !== 'UploadPart') return undefined;
      times -= 1;
      return s3Error(403, 'AccessDenied');
    });
    expect((await patchUpload(url, 0, bytes.subarray(0, 7 * MIB))).offset).toBe(7 * MIB);
    // By then the store has deleted its object beside the parts.
    times = 2;
    expect((await patchUpload(url, 7 * MIB, bytes.subarray(7 * MIB, 14 * MIB))).offset).toBe(14 * MIB);
    expect((await patchUpload(url, 14 * MIB, bytes.subarray(14 * MIB))).status).toBe(204);
    expect((await finalFiles()).map((file) => file.equals(bytes))).toEqual([true]);
  });

  it('answers ERR_FILE_DAMAGED for a part that S3 reports and does not have', async () => {
    const { url, bytes, finalFiles } = await serve((exchange) =>
      isPart(2)(exchange) && exchange.nth < 99 ? { kind: 'answer', status: 200, headers: { ETag: '"none"' }, ms: 200 } : undefined,
    );
    const answer = await patchUpload(url, 0, bytes);
    expect(answer.status === 422 || answer.status === 503).toBe(true);
    const { offset = -1 } = await headUpload(url);
    const again = answer.status === 422 ? answer : await patchUpload(url, offset, bytes.subarray(offset));
    expect(again).toMatchObject({ status: 422, code: 'ERR_FILE_DAMAGED' });
    expect(await readRecord(url)).toMatchObject({ state: 'rejected' });
    expect(await finalFiles()).toEqual([]);
  });
});
