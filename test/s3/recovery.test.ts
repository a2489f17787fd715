// Crashes leave leftovers in a bucket; the next start recovers or deletes them.
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, vi } from 'vitest';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import { S3Staging } from '../../server/staging/s3/s3-staging.ts';
import { newUpload } from '../contract/new-upload.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { startLandfall } from '../support/landfall-process.ts';
import { MIB, s3Config } from '../support/s3-landfall.ts';
import { type TestBucket, testBucket } from '../support/s3-test-bucket.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { uploadId } from '../support/upload-ids.ts';
import { writeStaged } from '../support/write-staged.ts';

const LIMITS = { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 30_000, completeBytes: null };
const ID = uploadId('d');

function stagingIn({ bucket }: TestBucket): S3Staging {
  return new S3Staging({ bucket, partBytes: 5 * MIB, concurrency: 3, memoryBytes: 32 * MIB, maxUploadBytes: 1024 * MIB });
}

async function contentOf(staging: S3Staging, id = ID): Promise<Buffer> {
  const reader = await staging.open(id);
  return gathered(reader.stream());
}

const bodyOf = (...pieces: Buffer[]) => Readable.from(pieces);

describe('staging in S3', () => {
  // At a part boundary, in the middle of a part, in the middle of a tail, at zero.
  it.for([10 * MIB, 7 * MIB, 11 * MIB, 12 * MIB + 5, 3, 0])(
    'resumes from byte %i of thirteen million that were truncated to it',
    async (size) => {
      const staging = stagingIn(await testBucket());
      const [first, second] = [await videoBytes(13 * MIB, 1), await videoBytes(17 * MIB, 2)];
      await writeStaged(staging, ID, 0, bodyOf(first), LIMITS);
      await staging.truncate(ID, size);
      expect(await staging.size(ID)).toBe(size);
      await writeStaged(staging, ID, size, bodyOf(second.subarray(size)), { ...LIMITS, completeBytes: 17 * MIB });
      expect(await staging.size(ID)).toBe(17 * MIB);
      expect((await contentOf(staging)).equals(Buffer.concat([first.subarray(0, size), second.subarray(size)]))).toBe(true);
    },
  );

  it('resumes after a read, and from before bytes that were already stored', async () => {
    const bed = await testBucket();
    const staging = stagingIn(bed);
    const [first, second] = [await videoBytes(13 * MIB, 1), await videoBytes(16 * MIB, 2)];
    await writeStaged(staging, ID, 0, bodyOf(first), LIMITS);
    expect((await contentOf(staging)).equals(first)).toBe(true);
    // The ledger knew fewer bytes than were stored when the process died.
    await writeStaged(staging, ID, 10 * MIB, bodyOf(second.subarray(10 * MIB)), { ...LIMITS, completeBytes: 16 * MIB });
    expect((await contentOf(staging)).equals(Buffer.concat([first.subarray(0, 10 * MIB), second.subarray(10 * MIB)]))).toBe(true);
    await staging.remove(ID);
    expect([await bed.keys(), await bed.unfinished()]).toEqual([[], []]);
  });

  it('resumes in the middle of stored bytes, and then from their end', async () => {
    const staging = stagingIn(await testBucket());
    const [first, second] = [await videoBytes(13 * MIB, 1), await videoBytes(15 * MIB, 2)];
    await writeStaged(staging, ID, 0, bodyOf(first), LIMITS);
    await writeStaged(staging, ID, 11 * MIB, bodyOf(second.subarray(11 * MIB, 14 * MIB)), LIMITS);
    await writeStaged(staging, ID, 14 * MIB, bodyOf(second.subarray(14 * MIB)), { ...LIMITS, completeBytes: 15 * MIB });
    expect((await contentOf(staging)).equals(Buffer.concat([first.subarray(0, 11 * MIB), second.subarray(11 * MIB)]))).toBe(true);
  });

  it('merges a part that was stored in many small pieces', async () => {
    const bed = await testBucket();
    const staging = stagingIn(bed);
    const bytes = await videoBytes(40 * 150_000);
    let most = 0;
    for (let at = 0; at < bytes.byteLength; at += 150_000) {
      await writeStaged(staging, ID, at, bodyOf(bytes.subarray(at, at + 150_000)), { ...LIMITS, completeBytes: bytes.byteLength });
      most = Math.max(most, (await bed.keys('staging/')).length);
    }
    expect(most).toBeLessThan(25);
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });
});

describe('a server that starts on a bucket', () => {
  it('deletes objects and multipart uploads that belong to no upload, and nothing else', async () => {
    const bed = await testBucket();
    const staging = stagingIn(bed);
    await writeStaged(staging, ID, 0, bodyOf(await videoBytes(12 * MIB)), LIMITS);
    // One crash between the start of a multipart upload and the recording of its id; another in the middle of a copy.
    await bed.bucket.multiparts.start(`staging/${uploadId('e')}/bytes`);
    await bed.bucket.multiparts.start(`files/2020/01/02/${uploadId('f')}/3/film.mp4`);
    await bed.bucket.put('files/2020/01/02/other/1/kept.txt', Buffer.from('x'));
    expect(await bed.unfinished()).toHaveLength(3);
    const { close } = await embedLandfall(s3Config(bed));
    await vi.waitFor(async () => expect([await bed.keys(), await bed.unfinished()]).toEqual([['files/2020/01/02/other/1/kept.txt'], []]), {
      timeout: 60_000,
      interval: 50,
    });
    await close();
  });

  it('publishes again a file that a crash left published without a verdict, and keeps one file', async () => {
    const bed = await testBucket();
    const dataDir = testDirectory();
    const bytes = await videoBytes(7 * MIB);
    await writeStaged(stagingIn(bed), ID, 0, bodyOf(bytes), { ...LIMITS, completeBytes: bytes.byteLength });
    await bed.bucket.put(`files/2020/01/02/${ID}/1/film.mp4`, Buffer.from('the attempt that crashed'));
    const ledger = new Ledger(await openSqlite(dataDir, { exclusive: true }));
    await ledger.migrate();
    const crashed = { state: 'inspecting', attempt: 1, strikes: 1, target: `2020/01/02/${ID}`, expiresAt: null } as const;
    await ledger.create(newUpload({ id: ID, length: bytes.byteLength, name: 'film.mp4', originalName: 'film.mp4', ...crashed }), true);
    await ledger.close();
    const { landfall, close } = await embedLandfall({ ...s3Config(bed), dataDir });
    expect(landfall.config.storageBackend).toBe('s3');
    await vi.waitFor(async () => expect(await bed.keys('staging/')).toEqual([]), { timeout: 60_000, interval: 50 });
    expect(await bed.keys()).toEqual([`files/2020/01/02/${ID}/2/film.mp4`]);
    expect((await gathered(await bed.bucket.stream(`files/2020/01/02/${ID}/2/film.mp4`))).equals(bytes)).toBe(true);
    await close();
  });
});

describe('a server that is killed', () => {
  it('repeatedly during a body resumes from the offset that it acknowledged, never from less', async () => {
    const bed = await testBucket();
    const settings = Object.entries(s3Config(bed)).map(([key, value]) => [
      `LANDFALL_${key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`,
      String(value),
    ]);
    const server = await startLandfall({ dataDir: join(testDirectory(), 'data'), env: Object.fromEntries(settings) });
    const bytes = await videoBytes(40 * MIB);
    const { url } = await createUpload(server.files, { length: bytes.byteLength, name: 'film.mp4' });
    let acknowledged = 0;
    for (let kills = 0; kills < 3; kills++) {
      const sending = patchUpload(url, acknowledged, Readable.toWeb(slowly(bytes.subarray(acknowledged))) as ReadableStream).catch(
        () => undefined,
      );
      // Wait until a new offset is acknowledged while the body is still being sent.
      await vi.waitFor(async () => expect((await readRecord(url)).offset).toBeGreaterThan(acknowledged), { timeout: 60_000, interval: 50 });
      const seen = (await readRecord(url)).offset;
      await server.kill();
      await sending;
      await server.start();
      const { offset = -1 } = await headUpload(url);
      expect(offset).toBeGreaterThanOrEqual(seen);
      acknowledged = offset;
    }
    expect(await patchUpload(url, acknowledged, bytes.subarray(acknowledged))).toMatchObject({ status: 204, offset: bytes.byteLength });
    const [key = ''] = await bed.keys('files/');
    expect((await gathered(await bed.bucket.stream(key))).equals(bytes)).toBe(true);
    await vi.waitFor(async () => expect([await bed.keys('staging/'), await bed.unfinished()]).toEqual([[], []]));
    await server.stop();
  });
});

function slowly(bytes: Buffer): Readable {
  return Readable.from(
    (async function* () {
      for (let at = 0; at < bytes.byteLength; at += MIB) {
        yield bytes.subarray(at, at + MIB);
        await sleep(60);
      }
    })(),
  );
}
