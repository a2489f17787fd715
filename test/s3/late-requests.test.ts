// Requests that reach S3 long after other processes took over from the process that sent them: S3 has no locks.
import { Readable } from 'node:stream';
import { expect, it, onTestFinished } from 'vitest';
import { Bucket } from '../../server/s3/bucket.ts';
import { S3Staging } from '../../server/staging/s3/s3-staging.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { MIB, operationOf, s3Error } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';
import { uploadId } from '../support/upload-ids.ts';
import { writeStaged } from '../support/write-staged.ts';

const ID = uploadId('d');
const LIMITS = { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 30_000, completeBytes: null };
const LATE_MS = 1500;

/** Two processes stage into one prefix; S3 tells the first process to repeat one kind of request later. */
async function openTwo(operation: string) {
  const bed = await testBucket();
  let isLate = true;
  const { promise: made, resolve: tellMade } = Promise.withResolvers<void>();
  const proxy = await startFaultProxy({
    upstream: bed.options.endpoint,
    onRequest(exchange) {
      if (!isLate || operationOf(exchange) !== operation) return undefined;
      tellMade();
      return s3Error(503, 'SlowDown', LATE_MS);
    },
  });
  onTestFinished(() => proxy.close());
  const bucket = new Bucket({ ...bed.options, endpoint: proxy.url });
  onTestFinished(() => bucket.close());
  const options = { partBytes: 5 * MIB, concurrency: 2, memoryBytes: 16 * MIB, maxUploadBytes: 64 * MIB };
  return {
    stopped: new S3Staging({ ...options, bucket }),
    living: new S3Staging({ ...options, bucket: bed.bucket }),
    async untilMade() {
      await made;
      isLate = false;
    },
  };
}

const bodyOf = (bytes: Buffer) => Readable.from([bytes]);

async function expectBytes(staging: S3Staging, at: number, bytes: Buffer): Promise<void> {
  expect(await staging.size(ID)).toBe(at);
  await writeStaged(staging, ID, at, bodyOf(bytes.subarray(at)), { ...LIMITS, completeBytes: bytes.byteLength });
  const reader = await staging.open(ID);
  expect((await gathered(reader.stream())).equals(bytes)).toBe(true);
}

it('a late write removes no byte acknowledged since', async () => {
  const { stopped, living, untilMade } = await openTwo('PutObject');
  const bytes = await videoBytes(8 * MIB);
  const late = writeStaged(stopped, ID, 0, bodyOf(bytes.subarray(0, MIB)), LIMITS);
  await untilMade();
  await writeStaged(living, ID, 0, bodyOf(bytes.subarray(0, 3 * MIB)), LIMITS);
  await late;
  await expectBytes(living, 3 * MIB, bytes);
});

it('a late deletion removes no byte acknowledged since', async () => {
  const { stopped, living, untilMade } = await openTwo('DeleteObject');
  const bytes = await videoBytes(8 * MIB);
  await writeStaged(living, ID, 0, bodyOf(bytes.subarray(0, MIB)), LIMITS);
  await writeStaged(living, ID, MIB, bodyOf(bytes.subarray(MIB, 2 * MIB)), LIMITS);
  // The ledger has only the first write.
  const late = writeStaged(stopped, ID, MIB, bodyOf(Buffer.alloc(0)), LIMITS);
  await untilMade();
  await writeStaged(living, ID, MIB, bodyOf(bytes.subarray(MIB, 4 * MIB)), LIMITS);
  await late;
  await expectBytes(living, 4 * MIB, bytes);
});

it('pieces merged into one object stay until the merged object is acknowledged', async () => {
  const { stopped, living, untilMade } = await openTwo('DeleteObject');
  const bytes = await videoBytes(8 * MIB);
  const pieceBytes = 64 * 1024;
  const pieces = 16;
  for (let at = 0; at < pieces * pieceBytes; at += pieceBytes) {
    await writeStaged(living, ID, at, bodyOf(bytes.subarray(at, at + pieceBytes)), LIMITS);
  }
  // One piece more than may be kept as separate objects.
  const late = writeStaged(stopped, ID, pieces * pieceBytes, bodyOf(bytes.subarray(pieces * pieceBytes, 2 * MIB)), LIMITS);
  await Promise.race([late, untilMade()]);
  // The ledger never recorded the late write: another process resumes before it, and its body is empty.
  await writeStaged(living, ID, pieces * pieceBytes, bodyOf(Buffer.alloc(0)), LIMITS);
  await late;
  await expectBytes(living, pieces * pieceBytes, bytes);
});
