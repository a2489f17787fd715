// Prepares an upload for a body that is appended at an offset: the bytes before it are in full parts, then in tails of a part that is
// not full.
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import type { Permits } from '../../s3/permits.ts';
import {
  bytesKey,
  endOf,
  leadingParts,
  type Multipart,
  newTailKey,
  type Staged,
  startMultipart,
  type Tail,
  tailsFrom,
  tailsOver,
} from './s3-parts.ts';
import { TailsReader } from './s3-reader.ts';

export interface LayoutContext {
  bucket: Bucket;
  /** Limits the memory for bytes that are read back from S3. */
  reading: Permits;
}

export interface Layout {
  multipart: Multipart | undefined;
  /** All bytes before this offset are in full parts. */
  start: number;
  /** The tails with the bytes from `start` to the offset. */
  tails: Tail[];
}

/**
 * Finds the bytes before `offset`. Tails that were stored before the multipart upload started, and reach beyond its first part, are
 * stored again as parts. No tail is removed here: the caller may remove the tails that the result does not name. After a crash in
 * between, full parts and all tails are still there, and the next call leads to the same result.
 *
 * @param multipart the upload's multipart upload; undefined when it has none yet, which would have parts of `partBytes`
 * @throws Error when bytes before the offset are not in S3; S3Fault
 */
export async function layOut(
  { bucket, reading }: LayoutContext,
  id: UploadId,
  staged: Staged,
  multipart: Multipart | undefined,
  partBytes: number,
  offset: number,
  requireHeld?: () => void,
): Promise<Layout> {
  const start = Math.floor(offset / partBytes) * partBytes;
  const tails = tailsFrom(staged.tails, start, offset);
  const isWhole = endOf(tails, start) === offset;
  const first = Math.min(start, ...staged.tails.map((tail) => tail.start));
  // No tail has to become a part.
  if (isWhole && first === start && (multipart !== undefined || start === 0)) return { multipart, start, tails };
  const stored = multipart === undefined ? 0 : await fullPartsEnd(bucket, id, multipart, first);
  if (isWhole && stored >= start) return { multipart, start, tails };

  const from = Math.min(stored, start);
  const chain = tailsOver(staged.tails, from, offset);
  if (endOf(chain, from) !== offset) throw new Error(`Staged bytes before ${offset} are gone.`);
  const started = multipart ?? (await startMultipart(bucket, id, partBytes));
  requireSize(started, partBytes);
  const reader = new TailsReader(bucket, chain);
  for (let at = from; at < start; at += partBytes) {
    requireHeld?.();
    await reading.with(partBytes, async () =>
      bucket.multiparts.put(bytesKey(id), started.uploadId, at / partBytes + 1, await reader.read(at, at + partBytes)),
    );
  }
  if (start === offset) return { multipart: started, start, tails: [] };
  const rest: Tail = { key: newTailKey(id, start), start, size: offset - start };
  requireHeld?.();
  await reading.with(rest.size, async () => bucket.put(rest.key, await reader.read(start, offset)));
  return { multipart: started, start, tails: [rest] };
}

/** @throws Error when another process started the multipart upload with another part size; the sender's next request uses that size */
export function requireSize(multipart: Multipart, partBytes: number): void {
  if (multipart.partBytes !== partBytes) throw new Error('The parts of this upload have another size.');
}

/** End of the full parts without a gap, from the part with the byte at `first` on. */
async function fullPartsEnd(bucket: Bucket, id: UploadId, { uploadId, partBytes }: Multipart, first: number): Promise<number> {
  const before = Math.floor(first / partBytes);
  const parts = await bucket.multiparts.parts(bytesKey(id), uploadId, before);
  return (before + leadingParts(parts, partBytes, before).length) * partBytes;
}
