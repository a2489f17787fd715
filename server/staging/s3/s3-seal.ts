// Seals an upload, which makes one object of its parts and tails, and unseals it when it has to continue after all.
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import type { StoredPart } from '../../s3/multiparts.ts';
import type { Permits } from '../../s3/permits.ts';
import {
  bytesKey,
  endOf,
  formatMultipart,
  leadingParts,
  type Multipart,
  multipartKey,
  newTailKey,
  readMultipart,
  type Staged,
  sizeOf,
  type Tail,
  tailsOver,
} from './s3-parts.ts';
import { TailsReader } from './s3-reader.ts';

interface Sealing {
  bucket: Bucket;
  reading: Permits;
}

/** Reads the bytes of tails into memory: at most one part. */
export async function loadTails(bucket: Bucket, tails: readonly Tail[]): Promise<Buffer> {
  return Buffer.concat(await Promise.all(tails.map(({ key, size }) => bucket.read(key, 0, size))));
}

/**
 * Makes one object of the first `size` bytes.
 * @param known the parts, if the caller has stored all of them
 * @throws S3Fault; Error when a part is missing or not full
 */
export async function seal(
  { bucket }: Pick<Sealing, 'bucket'>,
  id: UploadId,
  multipart: Multipart,
  size: number,
  known?: readonly StoredPart[],
): Promise<void> {
  const { uploadId, partBytes } = multipart;
  const count = Math.ceil(size / partBytes);
  const parts = (known ?? (await bucket.multiparts.parts(bytesKey(id), uploadId))).slice(0, count);
  const isWhole =
    parts.length === count &&
    parts.every((part, index) => part.number === index + 1 && part.size === Math.min(partBytes, size - index * partBytes));
  if (!isWhole) throw new Error(`Parts of ${size} bytes are missing.`);
  await bucket.multiparts.complete(bytesKey(id), uploadId, parts);
}

/** The bytes of an upload that is not sealed. */
export interface PartsAndTails {
  multipart: Multipart | undefined;
  listed: StoredPart[];
  /** The parts that count. */
  full: StoredPart[];
  /** The tails behind them, in the order of their starts. */
  tails: Tail[];
  /** End of the parts that count. */
  start: number;
  /** The file's last part, if it is stored. */
  last: StoredPart | undefined;
  /** Number of all these bytes. */
  size: number;
}

/** Reads the parts and tails of an upload that is not sealed. The first tail may start within the parts that count. */
export async function partsAndTails(bucket: Bucket, id: UploadId, staged: Staged): Promise<PartsAndTails> {
  const multipart = staged.hasMultipart ? await readMultipart(bucket, id) : undefined;
  const listed = multipart ? await bucket.multiparts.parts(bytesKey(id), multipart.uploadId) : [];
  const full = multipart ? leadingParts(listed, multipart.partBytes) : [];
  const start = full.length * (multipart?.partBytes ?? 0);
  const tails = tailsOver(staged.tails, start);
  // The last part of a file is stored already when only the sealing failed.
  const next = listed.find(({ number }) => number === full.length + 1);
  const last = next && next.size > endOf(tails, start) - start ? next : undefined;
  return { multipart, listed, full, tails, start, last, size: last ? start + last.size : endOf(tails, start) };
}

/** Seals all bytes of an upload, and resolves to their number. @throws S3Fault, or the signal's reason before anything more is written */
export async function sealAll(sealing: Sealing, id: UploadId, staged: Staged, signal?: AbortSignal): Promise<number> {
  const { bucket, reading } = sealing;
  const held = await partsAndTails(bucket, id, staged);
  const { multipart, full, tails, start, size, last } = held;
  if (multipart === undefined || (full.length === 0 && last === undefined)) {
    await reading.with(sizeOf(tails), async () => {
      const bytes = await loadTails(bucket, tails);
      signal?.throwIfAborted();
      await bucket.put(bytesKey(id), bytes);
    });
    return size;
  }
  const parts = [...full];
  if (last) parts.push(last);
  else {
    const { uploadId, partBytes } = multipart;
    const reader = new TailsReader(bucket, tails);
    for (let at = start; at < size; at += partBytes) {
      const end = Math.min(at + partBytes, size);
      const number = at / partBytes + 1;
      parts.push(
        await reading.with(end - at, async () => {
          const bytes = await reader.read(at, end);
          signal?.throwIfAborted();
          return bucket.multiparts.put(bytesKey(id), uploadId, number, bytes);
        }),
      );
    }
  }
  signal?.throwIfAborted();
  await bucket.multiparts.complete(bytesKey(id), multipart.uploadId, parts);
  return size;
}

/**
 * Turns the first `size` bytes of a sealed upload into parts again. S3 copies full parts itself; only the rest passes through here.
 * @throws the error of `requireHeld`
 */
export async function unseal(
  { bucket, reading }: Sealing,
  id: UploadId,
  staged: Staged,
  size: number,
  partBytes: number,
  requireHeld?: () => void,
): Promise<void> {
  const key = bytesKey(id);
  const obsolete = staged.tails.map((tail) => tail.key);
  const count = Math.floor(size / partBytes);
  const start = count * partBytes;
  const tail = newTailKey(id, start);
  if (size > start) await reading.with(size - start, async () => bucket.put(tail, await bucket.read(key, start, size)));
  if (count > 0) {
    const uploadId = await bucket.multiparts.start(key);
    for (let part = 0; part < count; part++)
      await bucket.multiparts.copy(key, uploadId, part + 1, bucket.source(key), part * partBytes, (part + 1) * partBytes);
    // The object is removed below, so all parts must be there.
    const copied = leadingParts(await bucket.multiparts.parts(key, uploadId), partBytes);
    if (copied.length < count) throw new Error(`${copied.length} parts were copied of ${count}.`);
    requireHeld?.();
    await bucket.put(multipartKey(id), formatMultipart({ uploadId, partBytes }));
  } else if (staged.hasMultipart) {
    await bucket.remove([multipartKey(id)]);
  }
  requireHeld?.();
  await bucket.remove([...obsolete, key]);
}
