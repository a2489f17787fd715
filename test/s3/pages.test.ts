// S3 lists a thousand entries a page: a large upload has more parts than that, and a bucket more uploads.
import { expect, it } from 'vitest';
import { S3Staging } from '../../server/staging/s3/s3-staging.ts';
import { MIB } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';

const COUNT = 1003;
const AT_ONCE = 16;

async function each(make: (n: number) => Promise<unknown>): Promise<void> {
  let next = 1;
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      while (next <= COUNT) await make(next++);
    }),
  );
}

it('parts beyond the first page count', async () => {
  const { bucket } = await testBucket();
  const id = await bucket.multiparts.start('large');
  await each((n) => bucket.multiparts.put('large', id, n, Buffer.alloc(n % 3)));
  const parts = await bucket.multiparts.parts('large', id);
  expect(parts.map(({ number }) => number)).toEqual(Array.from({ length: COUNT }, (_, n) => n + 1));
  expect(parts.every(({ number, size }) => size === number % 3)).toBe(true);
  await bucket.multiparts.abort('large', id);
});

it('objects and unfinished uploads beyond the first page are found', async () => {
  const { bucket, keys, unfinished } = await testBucket();
  const staging = new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 2, memoryBytes: 16 * MIB, maxUploadBytes: 64 * MIB });
  const idOf = (n: number) => n.toString(16).padStart(32, '0');
  await each((n) => bucket.put(`staging/${idOf(n)}/bytes`, Buffer.alloc(1)));
  // For these there is only a started multipart upload.
  await each((n) => bucket.multiparts.start(`staging/${idOf(COUNT + n)}/bytes`));
  expect(await keys()).toHaveLength(COUNT);
  expect(await unfinished()).toHaveLength(COUNT);
  const listed: string[] = [];
  for await (const id of staging.list()) listed.push(id);
  expect(listed.sort()).toEqual(Array.from({ length: 2 * COUNT }, (_, n) => idOf(n + 1)));
});
