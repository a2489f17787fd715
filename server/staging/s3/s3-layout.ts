// Where the bytes before an offset lie when a body goes on from there: in full parts, then in tails of the part that is not.
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

export interface LayingOut {
  bucket: Bucket;
  /** For what is read back from S3 into memory of its own. */
  reading: Permits;
}

export interface Layout {
  multipart: Multipart | undefined;
  /** Everything before it is in full parts. */
  start: number;
  /** What follows, up to the offset. */
  tails: Tail[];
}

/**
 * Finds where the bytes before `offset` are. Tails of before the multipart upload, which end past its first part, are made
 * parts: their bytes are stored a second time, and none is taken away here. Whatever the caller takes away then is known to be in
 * what this resolves with. A crash in between leaves full parts and all tails, of which the next call makes the same.
 *
 * @param multipart as it was begun; undefined: not yet, and `partBytes` is what it would have
 * @throws Error when bytes before the offset are not in S3; S3Fault
 */
export async function layOut(
  { bucket, reading }: LayingOut,
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
  // No tail goes because a part holds its bytes.
  if (isWhole && first === start && (multipart !== undefined || start === 0)) return { multipart, start, tails };
  const stored = multipart === undefined ? 0 : await fullPartsEnd(bucket, id, multipart, first);
  if (isWhole && stored >= start) return { multipart, start, tails };

  const from = Math.min(stored, start);
  const chain = tailsOver(staged.tails, from, offset);
  if (endOf(chain, from) !== offset) throw new Error(`Staged bytes before ${offset} are gone.`);
  const begun = multipart ?? (await startMultipart(bucket, id, partBytes));
  requireSize(begun, partBytes);
  const reader = new TailsReader(bucket, chain);
  for (let at = from; at < start; at += partBytes) {
    requireHeld?.();
    await reading.with(partBytes, async () =>
      bucket.multiparts.put(bytesKey(id), begun.uploadId, at / partBytes + 1, await reader.read(at, at + partBytes)),
    );
  }
  if (start === offset) return { multipart: begun, start, tails: [] };
  const rest: Tail = { key: newTailKey(id, start), start, size: offset - start };
  requireHeld?.();
  await reading.with(rest.size, async () => bucket.put(rest.key, await reader.read(start, offset)));
  return { multipart: begun, start, tails: [rest] };
}

/** @throws Error when somebody else began it with parts of another size; who asks next goes by that */
export function requireSize(multipart: Multipart, partBytes: number): void {
  if (multipart.partBytes !== partBytes) throw new Error('The parts of this upload have another size.');
}

/** Up to where parts are full and without a gap, from the one that holds the byte at `first` on. */
async function fullPartsEnd(bucket: Bucket, id: UploadId, { uploadId, partBytes }: Multipart, first: number): Promise<number> {
  const before = Math.floor(first / partBytes);
  const parts = await bucket.multiparts.parts(bytesKey(id), uploadId, before);
  return (before + leadingParts(parts, partBytes, before).length) * partBytes;
}
