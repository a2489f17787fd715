// The layout of an upload's bytes in S3 while it is in progress, and which of them count.
//
// This is not built on @tus/s3-store, for one reason: there, an upload's offset is the sum of the parts that S3 lists, and a part starts
// where the part before happened to end. A part that is missing, late, or from an earlier try then shifts all bytes after it, and no
// change of the store's methods mends that. Here, part n of an upload has a fixed offset and size before its first byte, so writing it
// again changes nothing. Bytes behind a gap do not count. The offset of an upload is not read from S3 but from the ledger, which is
// written after S3 has the bytes.
//
//   staging/<id>/multipart       the multipart upload's id and part size, written once, before its first part. Before it exists, all
//                                bytes are in tails from byte 0 on, without a part size. Once it exists, its part size counts,
//                                whatever the settings are. Earlier tails that reach beyond its first part are stored again as
//                                parts of that size (s3-layout.ts)
//   staging/<id>/bytes           the key of the multipart upload. The object exists once the upload is sealed, or put whole when it
//                                is small
//   staging/<id>/tail-<offset>-<random digits>
//                                bytes of a part that is not full yet, from this offset on. The next tail starts at its end. No two
//                                tails have the same key: a late request of a process that was taken for dead must not overwrite or
//                                delete bytes that were acknowledged since

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import type { StoredPart } from '../../s3/multiparts.ts';

export const STAGING = 'staging/';
/** Limits of S3. */
export const MAX_PARTS = 10_000;
export const MIN_PART_BYTES: number = 5 * 1024 * 1024;
const MIB = 1024 * 1024;

export interface Multipart {
  uploadId: string;
  /** Size of every part but the last. */
  partBytes: number;
}

/** The multipart's JSON in the bucket, which is checked because others may write to the bucket, too. */
const MULTIPART = z.object({ uploadId: z.string().min(1), partSize: z.number().int().positive() });

/** An object with bytes [start, start + size) of the upload. */
export interface Tail {
  key: string;
  start: number;
  size: number;
}

export interface Staged {
  /** Size of the sealed object, if it exists. */
  sealed: number | undefined;
  hasMultipart: boolean;
  /** Size of the object that the sender sent directly, if it exists. */
  direct: number | undefined;
  /** In the order of their starts. */
  tails: Tail[];
  keys: string[];
}

export function folderOf(id: UploadId): string {
  return `${STAGING}${id}/`;
}

export function bytesKey(id: UploadId): string {
  return `${folderOf(id)}bytes`;
}

export function directKey(id: UploadId): string {
  return `${folderOf(id)}direct`;
}

export function multipartKey(id: UploadId): string {
  return `${folderOf(id)}multipart`;
}

/** A key that was never used. */
export function newTailKey(id: UploadId, start: number): string {
  return `${folderOf(id)}tail-${String(start).padStart(15, '0')}-${randomBytes(4).toString('hex')}`;
}

/** The smallest part size, at least `configured`, with which S3's number of parts is enough. In whole MiB, which every server accepts. */
export function partBytesFor(configured: number, length: number): number {
  return Math.max(configured, Math.ceil(length / MAX_PARTS / MIB) * MIB);
}

export async function readStaged(bucket: Bucket, id: UploadId): Promise<Staged> {
  const staged: Staged = { sealed: undefined, hasMultipart: false, direct: undefined, tails: [], keys: [] };
  for await (const { key, size } of bucket.list(folderOf(id))) {
    staged.keys.push(key);
    const name = key.slice(folderOf(id).length);
    if (name === 'bytes') staged.sealed = size;
    else if (name === 'multipart') staged.hasMultipart = true;
    else if (name === 'direct') staged.direct = size;
    else if (name.startsWith('tail-')) staged.tails.push({ key, start: Number.parseInt(name.slice('tail-'.length), 10), size });
  }
  staged.tails.sort((a, b) => a.start - b.start);
  return staged;
}

export async function readMultipart(bucket: Bucket, id: UploadId): Promise<Multipart> {
  const { body } = await bucket.get(multipartKey(id));
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(piece as Buffer);
  const { uploadId, partSize } = MULTIPART.parse(JSON.parse(Buffer.concat(pieces).toString()));
  return { uploadId, partBytes: partSize };
}

/** The JSON that `readMultipart` reads. */
export function formatMultipart({ uploadId, partBytes }: Multipart): Buffer {
  const written: z.input<typeof MULTIPART> = { uploadId, partSize: partBytes };
  return Buffer.from(JSON.stringify(written));
}

/** Starts a multipart upload and stores its id. When another process was first, resolves to that process's multipart upload. */
export async function startMultipart(bucket: Bucket, id: UploadId, partBytes: number): Promise<Multipart> {
  const uploadId = await bucket.multiparts.start(bytesKey(id));
  const multipart: Multipart = { uploadId, partBytes };
  if (await bucket.putNew(multipartKey(id), formatMultipart(multipart))) return multipart;
  const first = await readMultipart(bucket, id);
  if (first.uploadId !== uploadId) await bucket.multiparts.abort(bytesKey(id), uploadId);
  return first;
}

/** The parts that count: the full ones after part `after`, up to the first missing or not full one. */
export function leadingParts(parts: readonly StoredPart[], partBytes: number, after = 0): StoredPart[] {
  const leading: StoredPart[] = [];
  for (const part of parts) {
    if (part.number !== after + leading.length + 1 || part.size !== partBytes) break;
    leading.push(part);
  }
  return leading;
}

/**
 * The tails with the bytes from `start` on without a gap, up to `end` at most. A tail that does not start at the end of another one is
 * left from a write that was never acknowledged. Of two tails with the same start, the one whose chain reaches further towards `end`
 * counts. When both reach equally far, the one whose chain is not cut at `end` counts.
 */
export function tailsFrom(tails: readonly Tail[], start: number, end: number = Number.POSITIVE_INFINITY): Tail[] {
  // From the last tail backwards, so that the chain behind a tail is known before the tail.
  const chains = new Map<number, { chain: Tail[]; end: number; isCut: boolean }>();
  for (const tail of tails.toSorted((a, b) => b.start - a.start)) {
    if (tail.size === 0 || tail.start < start || tail.start >= end) continue;
    const size = Math.min(tail.size, end - tail.start);
    const own = { ...tail, size };
    const next = chains.get(own.start + size);
    const found = next ? { ...next, chain: [own, ...next.chain] } : { chain: [own], end: own.start + size, isCut: size < tail.size };
    const other = chains.get(own.start);
    if (other === undefined || found.end > other.end || (found.end === other.end && other.isCut && !found.isCut))
      chains.set(own.start, found);
  }
  return chains.get(start)?.chain ?? [];
}

/**
 * Like `tailsFrom`, but the first tail may start before `start`. Returns the chain with the most bytes from `start` on; an empty one when
 * no tail has the byte at `start`.
 */
export function tailsOver(tails: readonly Tail[], start: number, end: number = Number.POSITIVE_INFINITY): Tail[] {
  let longest: Tail[] = [];
  const starts = new Set(tails.map((tail) => tail.start).filter((at) => at <= start));
  for (const from of [...starts].sort((a, b) => b - a)) {
    const chain = tailsFrom(tails, from, end);
    if (endOf(chain, from) > Math.max(start, endOf(longest, start))) longest = chain;
  }
  return longest;
}

/** True when a chain uses only the first bytes of a stored tail. */
export function isCut(tail: Tail, stored: readonly Tail[]): boolean {
  return stored.some(({ key, size }) => key === tail.key && size > tail.size);
}

/** Stores the first bytes of a tail as a new tail. */
export async function cutTail(bucket: Bucket, id: UploadId, { key, start, size }: Tail): Promise<Tail> {
  const tail = { key: newTailKey(id, start), start, size };
  await bucket.put(tail.key, await bucket.read(key, 0, size));
  return tail;
}

/** Number of bytes in all these tails. */
export function sizeOf(tails: readonly Tail[]): number {
  return tails.reduce((sum, { size }) => sum + size, 0);
}

export function endOf(chain: readonly Tail[], start: number): number {
  const last = chain.at(-1);
  return last === undefined ? start : last.start + last.size;
}
