// Two processes on one bucket and PostgreSQL, one of which others take for dead while requests of its are still on their way to
// S3: as when it was stopped for longer than its lease, and wakes up.
import { describe, expect, it } from 'vitest';
import { sha256, videoBytes } from '../support/content.ts';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type EmbeddedLandfall, embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { MIB, operationOf, s3Config } from '../support/s3-landfall.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload } from '../support/tus-requests.ts';

const postgres = postgresForTests();
const LENGTH = 20 * MIB;

interface Two {
  s3: TestBucket;
  /** Taken for dead once `bury` was called. */
  first: EmbeddedLandfall;
  /** Between it and S3. */
  proxy: FaultProxy;
  second: EmbeddedLandfall;
  bury(): Promise<void>;
}

async function embedTwo(): Promise<Two> {
  const s3 = await testBucket();
  const proxy = await startFaultProxy({ upstream: s3.options.endpoint });
  const database = await postgres.database();
  // It asks for its lease again after a third of it: longer than any of this takes.
  const shared = { dataDir: testDirectory(), databaseUrl: database, databaseConnections: 4, lease: 90_000 };
  const first = await embedLandfall({ ...s3Config(s3, proxy.url), ...shared });
  const [holder] = await postgres.query('select owner from holders', database);
  const second = await embedLandfall({ ...s3Config(s3), ...shared });
  const bury = async () => {
    await postgres.query(`update holders set "isDead" = 1 where owner = '${holder?.owner}'`, database);
  };
  return { s3, first, proxy, second, bury };
}

/** The next request of this kind waits until it is let go: the request itself, or its answer. */
function holdNext(proxy: FaultProxy, operation: string, what: 'request' | 'answer', skip = 0) {
  const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
  const { promise: come, resolve: comes } = Promise.withResolvers<void>();
  let left = skip;
  proxy.onRequest = (exchange) => {
    if (operationOf(exchange) !== operation || left-- !== 0) return undefined;
    comes();
    return { kind: 'hold', what, until };
  };
  return { come, letGo };
}

/** The rest of it, through the other one, and what came of it. */
async function expectWhole(two: Two, url: string, offset: number, bytes: Buffer<ArrayBuffer>): Promise<void> {
  const at = `${two.second.files}/${idOf(url)}`;
  expect(await patchUpload(at, offset, bytes.subarray(offset))).toMatchObject({ status: 204, offset: LENGTH });
  expect(sha256(Buffer.from(await (await fetch(at)).arrayBuffer()))).toBe(sha256(bytes));
}

async function expectNothingStaged({ s3 }: Two): Promise<void> {
  await expect.poll(async () => [await s3.keys('staging/'), await s3.unfinished()]).toEqual([[], []]);
}

describe('a process that others took for dead', () => {
  it('takes no offset back that another acknowledged after it', async () => {
    const two = await embedTwo();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(two.first.files, { length: LENGTH, name: 'film.mp4' });
    const part = holdNext(two.proxy, 'UploadPart', 'answer', 1);
    const late = patchUpload(url, 0, bytes.subarray(0, 10 * MIB));
    await part.come;
    const at = `${two.second.files}/${idOf(url)}`;
    await expect.poll(async () => (await headUpload(at)).offset).toBe(5 * MIB);
    await two.bury();
    expect(await patchUpload(at, 5 * MIB, bytes.subarray(5 * MIB, 15 * MIB))).toMatchObject({ status: 204, offset: 15 * MIB });
    part.letGo();
    expect(await late).toMatchObject({ status: 423 });
    expect(await headUpload(at)).toMatchObject({ status: 200, offset: 15 * MIB });
    await expectWhole(two, url, 15 * MIB, bytes);
    await expectNothingStaged(two);
  });

  it('puts nothing in the place of what another acknowledged', async () => {
    const two = await embedTwo();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(two.first.files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes.subarray(0, 5 * MIB))).toMatchObject({ status: 204 });
    const tail = holdNext(two.proxy, 'PutObject', 'request');
    const late = patchUpload(url, 5 * MIB, bytes.subarray(5 * MIB, 7 * MIB));
    await tail.come;
    await two.bury();
    const at = `${two.second.files}/${idOf(url)}`;
    expect(await patchUpload(at, 5 * MIB, bytes.subarray(5 * MIB, 9 * MIB))).toMatchObject({ status: 204, offset: 9 * MIB });
    tail.letGo();
    expect(await late).toMatchObject({ status: 423 });
    await expectWhole(two, url, 9 * MIB, bytes);
    await expectNothingStaged(two);
  });

  it('leaves nothing behind of what it stored after the end', async () => {
    const two = await embedTwo();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(two.first.files, { length: LENGTH, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes.subarray(0, 5 * MIB))).toMatchObject({ status: 204 });
    const tail = holdNext(two.proxy, 'PutObject', 'request');
    const late = patchUpload(url, 5 * MIB, bytes.subarray(5 * MIB, 7 * MIB));
    await tail.come;
    await two.bury();
    await expectWhole(two, url, 5 * MIB, bytes);
    await expectNothingStaged(two);
    tail.letGo();
    expect(await late).toMatchObject({ status: 423 });
    await expectNothingStaged(two);
  });
});
