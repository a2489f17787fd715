// Two processes on one bucket and PostgreSQL. The second takes the first for dead while a request of the first is still on its
// way to S3.
import { expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { MIB, operationOf, s3Config } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, idOf, patchUpload } from '../support/tus-requests.ts';

const postgres = postgresForTests();
const LENGTH = 8 * MIB;

it('a process that others took for dead leaves no bytes that it stored after the upload ended', async () => {
  const s3 = await testBucket();
  const proxy = await startFaultProxy({ upstream: s3.options.endpoint });
  onTestFinished(() => proxy.close());
  const database = await postgres.database();
  // The first process renews its lease after a third of the lease: longer than anything in this test takes.
  const shared = { dataDir: testDirectory(), databaseUrl: database, databaseConnections: 4, lease: 90_000 };
  const first = await embedLandfall({ ...s3Config(s3, proxy.url), ...shared });
  const [holder] = await postgres.query('select owner from holders', database);
  const second = await embedLandfall({ ...s3Config(s3), ...shared });
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(first.files, { length: LENGTH, name: 'film.mp4' });
  expect(await patchUpload(url, 0, bytes.subarray(0, 5 * MIB))).toMatchObject({ status: 204 });
  const { promise: until, resolve: letGo } = Promise.withResolvers<void>();
  proxy.onRequest = (exchange) => (operationOf(exchange) === 'PutObject' ? { kind: 'hold', until } : undefined);
  const late = patchUpload(url, 5 * MIB, bytes.subarray(5 * MIB, 7 * MIB));
  await expect.poll(() => proxy.exchanges.at(-1)?.fault?.kind).toBe('hold');
  await postgres.query(`update holders set "isDead" = 1 where owner = '${holder?.owner}'`, database);
  const ended = await patchUpload(`${second.files}/${idOf(url)}`, 5 * MIB, bytes.subarray(5 * MIB));
  expect(ended).toMatchObject({ status: 204, offset: LENGTH });
  await expect.poll(() => s3.keys('staging/')).toEqual([]);
  letGo();
  expect(await late).toMatchObject({ status: 423 });
  expect(await s3.keys('staging/')).toEqual([]);
});
