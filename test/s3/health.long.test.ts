// What a server reports about a bucket that it can't use: to the operator at its start, later to the readiness probe.
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BucketUnusable, createLandfall } from '../../server/index.ts';
import { videoBytes } from '../support/content.ts';
import { failedStart } from '../support/failed-start.ts';
import type { Exchange, Fault } from '../support/fault-proxy.ts';
import { freePort } from '../support/free-port.ts';

import { embedLandfallOnS3, MIB, operationOf, s3Config, s3Error } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload } from '../support/tus-requests.ts';

async function readiness(url: string): Promise<{ status: number; said: string }> {
  const response = await fetch(`${url}/health/ready`);
  return { status: response.status, said: ((await response.json()) as { status: string }).status };
}

const READY = { status: 200, said: 'ready' };
const UNAVAILABLE = { status: 503, said: 'staging unavailable' };
const isReadinessProbe = (exchange: Exchange) => ['HeadObject', 'ListObjects'].includes(operationOf(exchange)) && isOfBucket(exchange);
const isOfBucket = ({ path }: Exchange) => new URL(path, 'http://s3').pathname.split('/').filter(Boolean).length === 1;

describe('readiness', () => {
  it.for([
    ['refuses the credentials', s3Error(403, 'SignatureDoesNotMatch')],
    ['says nothing', { kind: 'stall', afterBytes: 0 }],
  ] satisfies [string, Fault][])('ends while S3 %s, and comes back with it', async ([, fault]) => {
    let isAway = false;
    const { url } = await embedLandfallOnS3((exchange) => (isAway && isReadinessProbe(exchange) ? fault : undefined));
    expect(await readiness(url)).toEqual(READY);
    isAway = true;
    await expect.poll(() => readiness(url)).toEqual(UNAVAILABLE);
    expect((await fetch(`${url}/health/live`)).status).toBe(200);
    isAway = false;
    await expect.poll(() => readiness(url)).toEqual(READY);
  });

  it('fails while S3 is unreachable, and senders are told to wait, not to start over', async () => {
    const { url, files, proxy } = await embedLandfallOnS3(() => undefined, { patience: 1000 });
    const bytes = await videoBytes(6 * MIB);
    const upload = await createUpload(files, { length: bytes.length, name: 'film.mp4' });
    await patchUpload(upload.url, 0, bytes.subarray(0, MIB));
    await proxy.goDown();
    await expect.poll(() => readiness(url)).toEqual(UNAVAILABLE);
    expect((await headUpload(upload.url)).status).toBeLessThan(500);
    expect((await patchUpload(upload.url, MIB, bytes.subarray(MIB))).status).toBe(503);
    await proxy.listen();
    await expect.poll(() => readiness(url)).toEqual(READY);
    expect(await headUpload(upload.url)).toMatchObject({ status: 200, offset: MIB });
    expect(await patchUpload(upload.url, MIB, bytes.subarray(MIB))).toMatchObject({ status: 204, offset: bytes.length });
  });

  it('asks S3 once for all probes, and is not delayed by uploads that use every connection', async () => {
    const { url, files, proxy } = await embedLandfallOnS3(
      (exchange) => (operationOf(exchange) === 'PutObject' ? { kind: 'stall', afterBytes: 1000 } : undefined),
      { s3Connections: 1 },
    );
    const { url: upload } = await createUpload(files, { length: MIB, name: 'film.mp4' });
    const sending = patchUpload(upload, 0, await videoBytes(MIB)).catch(() => undefined);
    await expect.poll(() => proxy.exchanges.some((exchange) => operationOf(exchange) === 'PutObject')).toBe(true);
    const before = proxy.exchanges.filter(isReadinessProbe).length;
    for (const answer of await Promise.all(Array.from({ length: 50 }, () => readiness(url)))) expect(answer).toEqual(READY);
    expect(proxy.exchanges.filter(isReadinessProbe).length - before).toBe(1);
    proxy.onRequest = () => undefined;
    proxy.cut();
    await sending;
  });
});

describe('a server that can not use its bucket', () => {
  async function startWith(more: object, environment: Record<string, string | undefined> = {}): Promise<unknown> {
    const config = s3Config(await testBucket());
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
    onTestFinished(() => void vi.unstubAllEnvs());
    const landfall = createLandfall({ ...config, dataDir: testDirectory(), logLevel: 'silent', ...more });
    onTestFinished(() => landfall.close());
    return landfall.start().catch((error: unknown) => error);
  }

  it.for([
    ['a bucket that is not there', { s3Bucket: 'nobody-made-it' }, {}, /^There is no bucket "nobody-made-it" at http:/],
    ['a wrong secret', {}, { AWS_SECRET_ACCESS_KEY: 'wrong' }, /AWS_SECRET_ACCESS_KEY/],
    ['an unknown key', {}, { AWS_ACCESS_KEY_ID: 'NOBODYS' }, /AWS_ACCESS_KEY_ID/],
    [
      'no credentials',
      {},
      { AWS_ACCESS_KEY_ID: undefined, AWS_SHARED_CREDENTIALS_FILE: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' },
      /^There are no credentials for S3/,
    ],
    ['a host that is not to be found', { s3ForcePathStyle: false, s3Endpoint: 'http://s3.invalid' }, {}, /LANDFALL_S3_FORCE_PATH_STYLE\.$/],
  ] as const)('says what to change: %s', async ([, more, environment, sentence]) => {
    const error = await startWith(more, environment);
    expect(error).toBeInstanceOf(BucketUnusable);
    expect((error as Error).message).toMatch(sentence);
  });

  it.for([
    [
      '2 when the operator must change something',
      { LANDFALL_S3_BUCKET: 'nobody-made-it' },
      false,
      2,
      /^landfall-server: There is no bucket .+\n$/,
    ],
    ['1 when S3 is away', {}, true, 1, /^landfall-server: S3 can't be reached at .+\n$/],
  ] as const)('ends with one line and exit code %s', async ([, more, isAway, code, line]) => {
    const { name, options } = await testBucket();
    const { said, code: ended } = await failedStart({
      LANDFALL_STORAGE_BACKEND: 's3',
      LANDFALL_S3_BUCKET: name,
      LANDFALL_S3_FORCE_PATH_STYLE: 'true',
      ...more,
      LANDFALL_S3_ENDPOINT: isAway ? `http://127.0.0.1:${await freePort()}` : (options.endpoint ?? ''),
    });
    expect(said).toMatch(line);
    expect(ended).toBe(code);
  });
});
