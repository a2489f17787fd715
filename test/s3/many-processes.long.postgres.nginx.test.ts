// The test of test/faults/many-processes.ts with the bytes in S3, which becomes unreachable for a while.
import { setTimeout as sleep } from 'node:timers/promises';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { expect, it } from 'vitest';
import { type SharedPlace, uploadThroughManyProcesses } from '../faults/many-processes.ts';
import { sha256 } from '../support/content.ts';
import { postgresForTests } from '../support/postgres.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { startTcpSwitch } from '../support/tcp-switch.ts';
import { testDirectory } from '../support/temp-dir.ts';

const MIB = 1024 * 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const LIMIT_MS = isLong ? 1_200_000 : 600_000;
const postgres = postgresForTests({ fsync: isLong });

async function sharedBucket(): Promise<SharedPlace> {
  const { name, client, options, keys, unfinished } = await testBucket();
  const { hostname, port } = new URL(options.endpoint ?? '');
  const between = await startTcpSwitch(hostname, Number(port));
  return {
    dataDir: testDirectory(),
    env: {
      LANDFALL_STORAGE_BACKEND: 's3',
      LANDFALL_S3_BUCKET: name,
      LANDFALL_S3_REGION: options.region,
      LANDFALL_S3_ENDPOINT: `http://127.0.0.1:${between.port}`,
      LANDFALL_S3_PREFIX: options.prefix,
      LANDFALL_S3_FORCE_PATH_STYLE: 'true',
      LANDFALL_S3_PART_SIZE: '5 MiB',
      LANDFALL_S3_MEMORY: '64 MiB',
      LANDFALL_S3_TIMEOUT: '5s',
      LANDFALL_MAX_UPLOAD_SIZE: '1 GiB',
    },
    staged: async () => [...(await keys('staging/')), ...(await unfinished())],
    async published() {
      const files = new Map<string, string>();
      for (const key of await keys('files/')) {
        const [, , , , id, ...rest] = key.split('/');
        const file = `${id}/${rest.at(-1)}`;
        const { Body } = await client.send(new GetObjectCommand({ Bucket: name, Key: `${options.prefix}${key}` }));
        // A second file under one name was published by a process that lost the upload, and was not swept: the test must see
        // both.
        files.set(files.has(file) ? key : file, sha256((await Body?.transformToByteArray()) ?? ''));
      }
      return files;
    },
    async fail() {
      await between.off();
      await sleep(isLong ? 10_000 : 3000);
      await between.on();
    },
  };
}

it('three processes on one bucket and PostgreSQL, killed and suspended, accept every file once and lose none', {
  timeout: LIMIT_MS,
}, async () => {
  const burden = isLong
    ? { uploads: 300, atOnce: 6, maxBytes: 48 * MIB, inspectionMs: 1000, killEveryMs: 2000, maxKills: 1000, hits: 20 }
    : { uploads: 50, atOnce: 6, maxBytes: 24 * MIB, inspectionMs: 500, killEveryMs: 1000, maxKills: 10, hits: 1 };
  const hits = await uploadThroughManyProcesses(await sharedBucket(), postgres, burden);
  expect(hits.kills).toBeGreaterThanOrEqual(burden.hits);
});
