// The adopt command imports uploads from a stopped @tus/server with @tus/s3-store, on the real S3.
import { UploadPartCommand } from '@aws-sdk/client-s3';
import { describe, expect, it, onTestFinished } from 'vitest';
import { type Adoptable, testAdoption } from '../contract/adoption.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { operatorCommand } from '../support/operator-command.ts';
import { startStockTus } from '../support/other-server.ts';
import { MIB, operationOf, s3Error } from '../support/s3-landfall.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload } from '../support/tus-requests.ts';

/** Environment with which a process reaches the run's S3. */
function reaching({ options }: TestBucket): Record<string, string> {
  return { LANDFALL_S3_ENDPOINT: options.endpoint, LANDFALL_S3_REGION: options.region, LANDFALL_S3_FORCE_PATH_STYLE: 'true' };
}

/** The stock store has no key prefix. Other tests share the bucket, so ids start with a prefix here. */
async function open(): Promise<Adoptable & { s3: TestBucket }> {
  const s3 = await testBucket();
  const { prefix, endpoint, region } = s3.options;
  return {
    s3,
    start: () => startStockTus({ STOCK_BUCKET: s3.name, STOCK_ENDPOINT: endpoint, STOCK_REGION: region, STOCK_PREFIX: `${prefix}old/` }),
    flags: ['--s3-store', `${s3.name}/${prefix}old/`],
    env: reaching(s3),
    named: (url) => Buffer.from(idOf(url), 'base64url').toString(),
    everything: async () => [...(await s3.keys('old/')), ...(await s3.unfinished()).filter((key) => key.startsWith('old/'))].sort(),
  };
}

describe('adopt --s3-store, to a disk', () => {
  testAdoption(open);

  it('imports the bytes before the first missing part, and none after it', async () => {
    const { s3, start, flags, env = {} } = await open();
    const other = await start();
    const bytes = await videoBytes(22 * MIB);
    const { url } = await createUpload(other.files, { length: bytes.byteLength, name: 'film.mp4' });
    await patchUpload(url, 0, bytes.subarray(0, 10 * MIB));
    // The stock server counts a later part although an earlier one failed: its offset includes the gap.
    const Key = Buffer.from(idOf(url), 'base64url').toString();
    const multiparts = await gathered(await s3.bucket.stream(`${Key.slice(s3.options.prefix.length)}.info`));
    expect(multiparts.byteLength).toBeGreaterThan(0);
    for await (const { key, uploadId } of s3.bucket.multiparts.list('old/')) {
      expect(s3.options.prefix + key).toBe(Key);
      const part = { Bucket: s3.name, Key, UploadId: uploadId, PartNumber: 4, Body: bytes.subarray(15 * MIB, 20 * MIB) };
      await s3.client.send(new UploadPartCommand(part));
    }
    expect((await headUpload(url)).offset).toBe(15 * MIB);
    await other.kill();
    const dataDir = testDirectory();
    const ran = await operatorCommand(['adopt', ...flags], { LANDFALL_DATA_DIR: dataDir, ...env });
    expect(ran).toMatchObject({ code: 0, err: '', out: expect.stringContaining('1 unfinished') });
    expect(ran.out).toContain(`its sender was told ${15 * MIB}, and sends the rest again`);
    const server = await startLandfall({ dataDir, port: other.port, env });
    onTestFinished(() => server.kill());
    expect((await headUpload(url)).offset).toBe(10 * MIB);
    expect((await patchUpload(url, 10 * MIB, bytes.subarray(10 * MIB))).status).toBe(204);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
  });
});

describe('adopt --s3-store, interrupted after an unfinished upload was made one object', () => {
  it.for([
    ['whole', false],
    ['with a gap among its parts', true],
  ] as const)('resumes when the upload is %s', async ([, hasGap]) => {
    const { s3, start, flags, env = {} } = await open();
    const other = await start();
    const bytes = await videoBytes(22 * MIB);
    const { url } = await createUpload(other.files, { length: bytes.byteLength, name: 'film.mp4' });
    await patchUpload(url, 0, bytes.subarray(0, 11 * MIB));
    const Key = Buffer.from(idOf(url), 'base64url').toString();
    for await (const { uploadId } of s3.bucket.multiparts.list('old/')) {
      const part = { Bucket: s3.name, Key, UploadId: uploadId, PartNumber: 4, Body: bytes.subarray(15 * MIB, 20 * MIB) };
      if (hasGap) await s3.client.send(new UploadPartCommand(part));
    }
    await other.kill();
    // S3 makes the object and its answer is lost, as if the command had been killed there.
    const proxy = await startFaultProxy({
      upstream: s3.options.endpoint,
      onRequest: (exchange) =>
        operationOf(exchange) === 'GetObject' && /-of-theirs(\?|$)/.test(exchange.path) ? s3Error(403, 'AccessDenied') : undefined,
    });
    onTestFinished(() => proxy.close());
    const dataDir = testDirectory();
    const ended = await operatorCommand(['adopt', ...flags], { LANDFALL_DATA_DIR: dataDir, ...env, LANDFALL_S3_ENDPOINT: proxy.url });
    expect(ended.code).toBe(1);
    expect(await s3.keys('old/')).toContain(Key.slice(s3.options.prefix.length));
    expect(await operatorCommand(['adopt', ...flags], { LANDFALL_DATA_DIR: dataDir, ...env })).toMatchObject({ code: 0, err: '' });
    const server = await startLandfall({ dataDir, port: other.port, env });
    onTestFinished(() => server.kill());
    const offset = hasGap ? 10 * MIB : 11 * MIB;
    expect((await headUpload(url)).offset).toBe(offset);
    expect((await patchUpload(url, offset, bytes.subarray(offset))).status).toBe(204);
    expect(Buffer.from(await (await fetch(url)).arrayBuffer()).equals(bytes)).toBe(true);
  });
});

describe('adopt --s3-store, within S3', () => {
  testAdoption(async () => {
    const place = await open();
    const { s3 } = place;
    const own = { LANDFALL_STORAGE_BACKEND: 's3', LANDFALL_S3_BUCKET: s3.name, LANDFALL_S3_PREFIX: s3.options.prefix };
    return { ...place, env: { ...reaching(s3), ...own, LANDFALL_MAX_UPLOAD_SIZE: '1 GiB' } };
  });
});
