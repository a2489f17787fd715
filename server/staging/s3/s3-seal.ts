// An upload in progress becomes one object, and, should it have to go on after all, parts again.
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import type { StoredPart } from '../../s3/multiparts.ts';
import type { Permits } from '../../s3/permits.ts';
import {
  bytesKey,
  endOf,
  leadingParts,
  type Multipart,
  multipartKey,
  newTailKey,
  readMultipart,
  type Staged,
  sizeOf,
  type Tail,
  tailsOver,
  writtenMultipart,
} from './s3-parts.ts';
import { TailsReader } from './s3-reader.ts';

interface Sealing {
  bucket: Bucket;
  reading: Permits;
}

/** The bytes of tails, in memory: at most a part's. */
export async function loadTails(bucket: Bucket, tails: readonly Tail[]): Promise<Buffer> {
  return Buffer.concat(await Promise.all(tails.map(({ key, size }) => bucket.read(key, 0, size))));
}

/**
 * Makes one object of the first `size` bytes.
 * @param known the parts, where whoever calls has stored all of them himself
 * @throws S3Fault, or an Error when there is a gap: never is anything made of parts that are not whole
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
  if (!isWhole) throw new Error(`The parts of ${size} bytes are not all there.`);
  await bucket.multiparts.complete(bytesKey(id), uploadId, parts);
}

/** Of an upload that is not sealed. */
export interface PartsAndTails {
  multipart: Multipart | undefined;
  listed: StoredPart[];
  /** The parts that count. */
  full: StoredPart[];
  /** From behind them on, by their starts. */
  tails: Tail[];
  /** Where the parts that count end. */
  start: number;
  /** The last part of a file, where it is stored already. */
  last: StoredPart | undefined;
  /** Bytes of all together. */
  size: number;
}

/** What an upload that is not sealed holds: parts that count, then tails, the first of which may begin in them. */
export async function partsAndTails(bucket: Bucket, id: UploadId, staged: Staged): Promise<PartsAndTails> {
  const multipart = staged.hasMultipart ? await readMultipart(bucket, id) : undefined;
  const listed = multipart ? await bucket.multiparts.parts(bytesKey(id), multipart.uploadId) : [];
  const full = multipart ? leadingParts(listed, multipart.partBytes) : [];
  const start = full.length * (multipart?.partBytes ?? 0);
  const tails = tailsOver(staged.tails, start);
  // The last part of a file may be stored already, when only its sealing failed.
  const next = listed.find(({ number }) => number === full.length + 1);
  const last = next && next.size > endOf(tails, start) - start ? next : undefined;
  return { multipart, listed, full, tails, start, last, size: last ? start + last.size : endOf(tails, start) };
}

/** Seals all that an upload holds, and resolves with its size. @throws also the signal's reason, before what is left to be written */
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

/** Takes the first `size` bytes of a sealed upload apart again, inside S3 but for what does not fill a part. @throws what `requireHeld` does */
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
    // Not under the key itself, or its completion would be taken for the object there is.
    const uploadId = await bucket.multiparts.start(key);
    for (let part = 0; part < count; part++)
      await bucket.multiparts.copy(key, uploadId, part + 1, bucket.source(key), part * partBytes, (part + 1) * partBytes);
    // The object goes in their stead.
    const copied = leadingParts(await bucket.multiparts.parts(key, uploadId), partBytes);
    if (copied.length < count) throw new Error(`${copied.length} parts were copied of ${count}.`);
    requireHeld?.();
    await bucket.put(multipartKey(id), writtenMultipart({ uploadId, partBytes }));
  } else if (staged.hasMultipart) {
    await bucket.remove([multipartKey(id)]);
  }
  requireHeld?.();
  await bucket.remove([...obsolete, key]);
}
