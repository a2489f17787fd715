// The part size of an upload depends on its length and on settings. Both may change while the upload is unfinished.
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../server/index.ts';
import { S3Staging, type S3StagingOptions } from '../../server/staging/s3/s3-staging.ts';
import { gathered, sha256, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { MIB, s3Config } from '../support/s3-landfall.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { uploadId } from '../support/upload-ids.ts';
import { writeStaged } from '../support/write-staged.ts';

const isLong = process.env.LANDFALL_TEST_LONG === '1';
/** Forty megabytes in and out, on a busy machine. */
const LIMIT_MS = 240_000;
const ID = uploadId('d');
const LIMITS = { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 30_000, completeBytes: null };
const GIB = 1024 * MIB;
/** Parts of 16 MiB for a known length, of 105 MiB for an unknown one. */
const DEFAULTS = { s3PartSize: 16 * MIB, maxUploadSize: 1024 * GIB, s3Memory: 256 * MIB };

async function expectAccepted(url: string, bytes: Buffer): Promise<void> {
  expect(await readRecord(url)).toMatchObject({ state: 'accepted', length: bytes.byteLength });
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
}

async function expectNothingStaged(bed: TestBucket): Promise<void> {
  await expect.poll(async () => [await bed.keys('staging/'), await bed.unfinished()]).toEqual([[], []]);
}

describe('a stream whose length is declared late', { timeout: LIMIT_MS }, () => {
  it.for(
    [
      { chunkMib: 1, tellAt: 'second', isQuick: false },
      { chunkMib: 1, tellAt: 'last', isQuick: false },
      { chunkMib: 8, tellAt: 'second', isQuick: true },
      { chunkMib: 8, tellAt: 'last', isQuick: false },
      { chunkMib: 16, tellAt: 'second', isQuick: false },
      { chunkMib: 16, tellAt: 'last', isQuick: false },
      { chunkMib: 20, tellAt: 'second', isQuick: false },
      { chunkMib: 20, tellAt: 'last', isQuick: true },
    ].filter(({ isQuick }) => isQuick || isLong),
  )('with the $tellAt of its chunks of $chunkMib MiB is accepted whole', async ({ chunkMib, tellAt }) => {
    const bed = await testBucket();
    const { files } = await embedLandfall({ ...s3Config(bed), ...DEFAULTS });
    const bytes = await videoBytes(40 * MIB);
    const { url } = await createUpload(files, { name: 'film.mp4', headers: { 'Upload-Defer-Length': '1' } });
    for (let at = 0; at < bytes.byteLength; at += chunkMib * MIB) {
      const end = Math.min(at + chunkMib * MIB, bytes.byteLength);
      const isTold = tellAt === 'last' ? end === bytes.byteLength : at === chunkMib * MIB;
      const length: Record<string, string> = isTold ? { 'Upload-Length': String(bytes.byteLength) } : {};
      expect(await patchUpload(url, at, bytes.subarray(at, end), length)).toMatchObject({ status: 204, offset: end });
    }
    await expectAccepted(url, bytes);
    await expectNothingStaged(bed);
  });
});

describe('an unfinished upload whose server changes settings', { timeout: LIMIT_MS }, () => {
  async function expectResumed(sent: number, before: ConfigInput, after: ConfigInput, more: Record<string, string> = {}) {
    const bed = await testBucket();
    const dataDir = testDirectory();
    const bytes = await videoBytes(40 * MIB);
    const first = await embedLandfall({ ...s3Config(bed), ...DEFAULTS, ...before, dataDir });
    const creation = more['Upload-Length'] === undefined ? { length: bytes.byteLength } : { headers: { 'Upload-Defer-Length': '1' } };
    const { url } = await createUpload(first.files, { ...creation, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes.subarray(0, sent))).offset).toBe(sent);
    await first.close();
    const second = await embedLandfall({ ...s3Config(bed), ...DEFAULTS, ...after, dataDir });
    const again = url.replace(first.files, second.files);
    expect((await headUpload(again)).offset).toBe(sent);
    expect(await patchUpload(again, sent, bytes.subarray(sent), more)).toMatchObject({ status: 204, offset: bytes.byteLength });
    await expectAccepted(again, bytes);
    await expectNothingStaged(bed);
  }

  it.for([
    [10, '16 MiB', '5 MiB'],
    [12, '16 MiB', '5 MiB'],
    [10, '16 MiB', '32 MiB'],
  ] as const)('resumes after %i MiB with parts of %s, then of %s', ([sent, before, after]) =>
    expectResumed(sent * MIB, { s3PartSize: before }, { s3PartSize: after }),
  );

  it('resumes when the largest upload size shrank, and its length is declared afterwards', () =>
    expectResumed(12 * MIB, {}, { maxUploadSize: GIB, s3PartSize: 5 * MIB }, { 'Upload-Length': String(40 * MIB) }));

  it('resumes with parts that would no longer fit into memory', () =>
    expectResumed(18 * MIB, {}, { maxUploadSize: GIB, s3PartSize: 5 * MIB, s3Memory: 10 * MIB }));
});

describe('staging in S3 whose part size changed', () => {
  const open = ({ bucket }: TestBucket, more: Partial<S3StagingOptions> = {}) =>
    new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 2, memoryBytes: 64 * MIB, maxUploadBytes: GIB, ...more });
  const bodyOf = (bytes: Buffer) => Readable.from([bytes]);
  const contentOf = async (staging: S3Staging) => gathered((await staging.open(ID)).stream());

  it.for([3 * MIB, 5 * MIB, 10 * MIB, 11 * MIB])('resumes from byte %i of twelve million that were truncated to it', async (size) => {
    const bed = await testBucket();
    const [first, second] = [await videoBytes(12 * MIB, 1), await videoBytes(23 * MIB, 2)];
    await writeStaged(open(bed, { partBytes: 16 * MIB }), ID, 0, bodyOf(first), LIMITS);
    const staging = open(bed);
    await staging.truncate(ID, size);
    expect(await staging.size(ID)).toBe(size);
    await writeStaged(staging, ID, size, bodyOf(second.subarray(size)), { ...LIMITS, completeBytes: second.byteLength });
    expect((await contentOf(staging)).equals(Buffer.concat([first.subarray(0, size), second.subarray(size)]))).toBe(true);
  });

  /** What a crash leaves that comes after some parts of 5 MiB. */
  async function storeParts({ bucket }: TestBucket, bytes: Buffer, count: number): Promise<void> {
    const key = `staging/${ID}/bytes`;
    const uploadId = await bucket.multiparts.start(key);
    await bucket.put(`staging/${ID}/multipart`, Buffer.from(JSON.stringify({ uploadId, partSize: 5 * MIB })));
    for (let part = 0; part < count; part++) {
      await bucket.multiparts.put(key, uploadId, part + 1, bytes.subarray(part * 5 * MIB, (part + 1) * 5 * MIB));
    }
  }

  it.for([0, 1, 2])('counts and reads all its bytes when a crash came after %i of its parts', async (parts) => {
    const bed = await testBucket();
    const bytes = await videoBytes(12 * MIB);
    const before = open(bed, { partBytes: 16 * MIB });
    await writeStaged(before, ID, 0, bodyOf(bytes.subarray(0, 3 * MIB)), LIMITS);
    await writeStaged(before, ID, 3 * MIB, bodyOf(bytes.subarray(3 * MIB)), LIMITS);
    await storeParts(bed, bytes, parts);
    const staging = open(bed);
    expect(await staging.size(ID)).toBe(bytes.byteLength);
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it.for([0, 1, 2])('resumes from all its bytes when a crash came after %i of its parts', async (parts) => {
    const bed = await testBucket();
    const bytes = await videoBytes(23 * MIB);
    const before = open(bed, { partBytes: 16 * MIB });
    await writeStaged(before, ID, 0, bodyOf(bytes.subarray(0, 3 * MIB)), LIMITS);
    await writeStaged(before, ID, 3 * MIB, bodyOf(bytes.subarray(3 * MIB, 12 * MIB)), LIMITS);
    await storeParts(bed, bytes, parts);
    const staging = open(bed);
    await writeStaged(staging, ID, 12 * MIB, bodyOf(bytes.subarray(12 * MIB)), { ...LIMITS, completeBytes: bytes.byteLength });
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it('uses larger parts where a length declared later needs them: S3 allows ten thousand', async () => {
    const bed = await testBucket();
    const bytes = await videoBytes(24 * MIB);
    await writeStaged(open(bed), ID, 0, bodyOf(bytes.subarray(0, 12 * MIB)), LIMITS);
    const staging = open(bed, { maxUploadBytes: 80 * GIB });
    await writeStaged(staging, ID, 12 * MIB, bodyOf(bytes.subarray(12 * MIB)), { ...LIMITS, completeBytes: 60 * GIB });
    const multipart: unknown = JSON.parse((await gathered(await bed.bucket.stream(`staging/${ID}/multipart`))).toString());
    expect(multipart).toMatchObject({ partSize: 7 * MIB });
    expect(await staging.size(ID)).toBe(bytes.byteLength);
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it('deletes nothing when acknowledged bytes are missing', async () => {
    const bed = await testBucket();
    const staging = open(bed, { partBytes: 16 * MIB });
    const bytes = await videoBytes(12 * MIB);
    await writeStaged(staging, ID, 0, bodyOf(bytes.subarray(0, 3 * MIB)), LIMITS);
    await writeStaged(staging, ID, 3 * MIB, bodyOf(bytes.subarray(3 * MIB)), LIMITS);
    const [first = '', second = ''] = await bed.keys('staging/');
    await bed.bucket.remove([first]);
    await expect(writeStaged(open(bed), ID, 12 * MIB, bodyOf(bytes), LIMITS)).rejects.toThrow('are gone');
    expect(await bed.keys('staging/')).toEqual([second]);
  });
});
