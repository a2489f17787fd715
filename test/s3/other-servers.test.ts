// Answers of other S3 servers, given by a proxy before the one at hand: none of them ends a start or a sweep.
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BucketUnusable, createLandfall } from '../../server/index.ts';
import { videoBytes } from '../support/content.ts';
import { failedStart } from '../support/failed-start.ts';
import { type Exchange, type Fault, startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { embedLandfallOnS3, MIB, operationOf, s3Config, s3Error } from '../support/s3-landfall.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, patchUpload, terminateUpload } from '../support/tus-requests.ts';

const SOON = { timeout: 60_000, interval: 50 };

async function proxyTo({ options }: TestBucket, onRequest: (exchange: Exchange) => Fault | undefined): Promise<string> {
  const proxy = await startFaultProxy({ upstream: options.endpoint, onRequest });
  onTestFinished(() => proxy.close());
  return proxy.url;
}

const isListOfUnfinished = (exchange: Exchange) => operationOf(exchange) === 'ListMultipartUploads';

/** Leaves one unfinished multipart upload for each key, as a crash does. Resolves with the keys. */
async function leaveUnfinished({ bucket }: TestBucket, count: number): Promise<string[]> {
  const keys = Array.from({ length: count }, (_, n) => `staging/${String(n).repeat(32)}/bytes`);
  for (const key of keys) await bucket.multiparts.start(key);
  return keys;
}

describe('the list of unfinished uploads', () => {
  it.for([
    [404, 'NoSuchUpload'],
    [404, 'NoSuchKey'],
    [405, 'MethodNotAllowed'],
    [501, 'NotImplemented'],
  ] as const)(
    'answered with %i %s counts as empty: the server starts, and deletes the multipart uploads that it started itself',
    async ([status, reason]) => {
      const { files, s3, expectNothingStaged } = await embedLandfallOnS3((exchange) =>
        isListOfUnfinished(exchange) ? s3Error(status, reason) : undefined,
      );
      const { url } = await createUpload(files, { length: 12 * MIB, name: 'film.mp4' });
      expect((await patchUpload(url, 0, (await videoBytes(12 * MIB)).subarray(0, 7 * MIB))).status).toBe(204);
      expect(await s3.unfinished()).toHaveLength(1);
      expect((await terminateUpload(url)).status).toBe(204);
      await expectNothingStaged();
    },
  );

  it.for([
    [
      'continues by key alone when the server refuses its own upload id as a marker',
      (query: URLSearchParams) => query.has('upload-id-marker'),
      [],
    ],
    [
      'ends when the server refuses to continue, and the rest is found once the earlier entries are gone',
      (query: URLSearchParams) => query.has('key-marker'),
      [1],
    ],
  ] as const)('%s', async ([, isRefused, left]) => {
    const s3 = await testBucket();
    const keys = await leaveUnfinished(s3, 2);
    const all: { key: string; uploadId: string }[] = [];
    for await (const one of s3.bucket.multiparts.list('staging/')) all.push(one);
    const [first] = all;
    const key = `${s3.options.prefix}${first?.key}`;
    const page = `<?xml version="1.0" encoding="UTF-8"?>
<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>${s3.name}</Bucket><IsTruncated>true</IsTruncated>
<NextKeyMarker>${key}</NextKeyMarker><NextUploadIdMarker>${first?.uploadId}</NextUploadIdMarker>
<Upload><Key>${key}</Key><UploadId>${first?.uploadId}</UploadId></Upload></ListMultipartUploadsResult>`;
    const endpoint = await proxyTo(s3, (exchange) => {
      const query = new URL(exchange.path, 'http://s3').searchParams;
      if (!isListOfUnfinished(exchange) || !query.get('prefix')?.endsWith('staging/')) return undefined;
      if (isRefused(query)) return s3Error(400, 'InvalidArgument');
      return query.has('key-marker')
        ? undefined
        : { kind: 'answer', status: 200, headers: { 'Content-Type': 'application/xml' }, body: page };
    });
    const { close } = await embedLandfall(s3Config(s3, endpoint));
    const expected = left.map((n) => keys[n]);
    await vi.waitFor(async () => expect(await s3.unfinished()).toEqual(expected), SOON);
    await close();
    await (await embedLandfall(s3Config(s3))).close();
  });
});

describe('cleaning up leftovers', () => {
  it('delays no start, however slow S3 is, and runs beside the uploads', async () => {
    const s3 = await testBucket();
    await leaveUnfinished(s3, 3);
    const { promise: until, resolve: letThrough } = Promise.withResolvers<void>();
    const endpoint = await proxyTo(s3, ({ method }) => (method === 'DELETE' ? { kind: 'hold', until } : undefined));
    const { files, close } = await embedLandfall(s3Config(s3, endpoint));
    const { url } = await createUpload(files, { length: MIB, name: 'film.mp4' });
    const bytes = await videoBytes(MIB);
    expect((await patchUpload(url, 0, bytes.subarray(0, 1000))).status).toBe(204);
    expect(await s3.unfinished()).toHaveLength(3);
    letThrough();
    await vi.waitFor(async () => expect(await s3.unfinished()).toEqual([]), SOON);
    expect((await patchUpload(url, 1000, bytes.subarray(1000))).status).toBe(204);
    await close();
  });

  it('is repeated after S3 failed', async () => {
    const s3 = await testBucket();
    await leaveUnfinished(s3, 1);
    let isAway = true;
    const endpoint = await proxyTo(s3, ({ path }) => (isAway && /prefix=[^&]*staging/.test(path) ? s3Error(503, 'SlowDown') : undefined));
    const { close } = await embedLandfall({ ...s3Config(s3, endpoint), sweepInterval: 100 });
    isAway = false;
    await vi.waitFor(async () => expect(await s3.unfinished()).toEqual([]), SOON);
    await close();
  });

  it('delays no shutdown: the next start cleans up the rest', async () => {
    const s3 = await testBucket();
    await leaveUnfinished(s3, 5);
    const { promise: until, resolve: letThrough } = Promise.withResolvers<void>();
    const endpoint = await proxyTo(s3, ({ method }) => (method === 'DELETE' ? { kind: 'hold', until } : undefined));
    const { close } = await embedLandfall(s3Config(s3, endpoint));
    const closed = close();
    letThrough();
    await closed;
    expect((await s3.unfinished()).length).toBeGreaterThanOrEqual(4);
  });
});

describe('a 404 that reports an unknown access key', () => {
  it.for(['InvalidAccessKeyId', 'XAdminUserNotFound'])(
    'by %s is a mistake in the credentials, explained in a sentence, with exit code 2',
    async (reason) => {
      const s3 = await testBucket();
      const endpoint = await proxyTo(s3, () => s3Error(404, reason));
      const landfall = createLandfall({ ...s3Config(s3, endpoint), dataDir: testDirectory(), logLevel: 'silent' });
      onTestFinished(() => landfall.close());
      const error = await landfall.start().catch((thrown: unknown) => thrown);
      expect(error).toBeInstanceOf(BucketUnusable);
      expect(error).toMatchObject({ isMistake: true, message: expect.stringContaining('AWS_ACCESS_KEY_ID') });
      const { said, code } = await failedStart({
        LANDFALL_STORAGE_BACKEND: 's3',
        LANDFALL_S3_BUCKET: s3.name,
        LANDFALL_S3_FORCE_PATH_STYLE: 'true',
        LANDFALL_S3_ENDPOINT: endpoint,
      });
      expect(said).toMatch(/^landfall-server: .+ does not know the access key\. .+\n$/);
      expect(code).toBe(2);
    },
  );
});
