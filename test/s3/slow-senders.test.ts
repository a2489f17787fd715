// Many slow senders and little memory: their buffered bytes are stored by several requests at once, within the memory limit.
import { randomBytes } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { Bucket } from '../../server/s3/bucket.ts';
import { FLUSHES_AT_ONCE } from '../../server/s3/part-memory.ts';
import { S3Staging } from '../../server/staging/s3/s3-staging.ts';
import { type Exchange, startFaultProxy } from '../support/fault-proxy.ts';
import { MIB, operationOf } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { numberedId } from '../support/upload-ids.ts';
import { writeStaged } from '../support/write-staged.ts';

const SENDERS = 300;
const MEMORY = 10 * MIB;
/** More than the smallest buffer, so that each sender asks for memory twice. */
const FIRST_BYTES = 70_000;
const SECOND_BYTES = 30_000;

it('the server stores the bytes of hundreds of slow senders by several requests at once, and loses nothing', async () => {
  const bed = await testBucket();
  const puts: Exchange[] = [];
  let isSending = true;
  let mostAtOnce = 0;
  let mostMemory = 0;
  const proxy = await startFaultProxy({
    upstream: bed.options.endpoint,
    onRequest(exchange) {
      if (operationOf(exchange) !== 'PutObject') return undefined;
      puts.push(exchange);
      if (isSending) mostAtOnce = Math.max(mostAtOnce, puts.filter(({ isAnswered }) => isAnswered === undefined).length);
      mostMemory = Math.max(mostMemory, staging.memoryTaken);
      // S3 is slower than everything else here, so that the senders wait for S3.
      return { kind: 'delay', ms: 200 };
    },
  });
  onTestFinished(() => proxy.close());
  const bucket = new Bucket({ ...bed.options, endpoint: proxy.url, connections: 64 });
  onTestFinished(() => bucket.close());
  const staging = new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 2, memoryBytes: MEMORY, maxUploadBytes: 64 * MIB });
  const bytes = randomBytes(FIRST_BYTES + SECOND_BYTES);

  const sources = Array.from({ length: SENDERS }, () => new PassThrough({ highWaterMark: MIB }));
  const acknowledged = sources.map(() => [0]);
  const writes = sources.map((source, index) =>
    writeStaged(staging, numberedId(index), 0, source, {
      maxBytes: MIB,
      completeBytes: MIB,
      signal: new AbortController().signal,
      bodyTimeoutMs: 60_000,
      onBatch: () => {
        mostMemory = Math.max(mostMemory, staging.memoryTaken);
      },
      onStored: (offset) => acknowledged[index]?.push(offset),
    }),
  );
  const taken = (index: number) => sources[index]?.readableLength === 0;
  for (const source of sources) source.write(bytes.subarray(0, FIRST_BYTES));
  await expect.poll(() => sources.every((_, index) => taken(index))).toBe(true);
  for (const source of sources) source.write(bytes.subarray(FIRST_BYTES));
  // Each sender asked for its first memory, and many for more: all bytes that did not fit were stored.
  await expect.poll(() => puts.filter(({ isAnswered }) => isAnswered).length).toBeGreaterThan(SENDERS / 2);
  isSending = false;
  expect(mostAtOnce).toBeGreaterThanOrEqual(4);
  expect(mostAtOnce).toBeLessThanOrEqual(FLUSHES_AT_ONCE);
  for (const source of sources) source.end();
  for (const written of await Promise.all(writes)) expect(written).toMatchObject({ bytes: bytes.length, end: 'whole' });
  expect(mostMemory).toBeGreaterThan(MEMORY / 2);
  expect(mostMemory).toBeLessThanOrEqual(MEMORY);
  expect(staging.memoryTaken).toBe(0);

  for (const offsets of acknowledged) {
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect(offsets.at(-1)).toBe(bytes.length);
  }
  for (const index of [0, SENDERS / 2, SENDERS - 1]) {
    const reader = await staging.open(numberedId(index));
    expect((await reader.read(0, MIB)).equals(bytes)).toBe(true);
  }
});
