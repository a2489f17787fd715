// Where an upload's bytes lie in S3 while it is in progress, and what of them counts.
//
// Not on @tus/s3-store, for one reason: there an upload's offset is whatever parts S3 lists, summed, and a part begins where
// the one before happened to end. A part that is missing, late, or from an earlier attempt then shifts every byte after it,
// and no change to the store's methods takes that back. Here part n of an upload has one place and one size, fixed before its
// first byte, so that writing it again changes nothing; a gap ends what counts; and how far an upload has come is not read
// off S3 at all, but from the ledger, which is written after S3 has the bytes.
//
//   staging/<id>/multipart       the multipart upload's id and part size, written once, before its first part. Until then no
//                                part size is part of the layout: all there is are tails, from byte 0 on, whatever the settings
//                                were. From then on it counts, whatever the settings are; and tails that were laid before, past
//                                the end of its first part, are made parts of that size (s3-layout.ts)
//   staging/<id>/bytes           the key of the multipart upload: there once the upload is sealed, or put whole when it is small
//   staging/<id>/tail-<offset>-<chance>
//                                bytes of a part that is not full yet, from this offset on; the next tail begins where it ends.
//                                No two have one key: a request of a process that was taken for dead may come to S3 late, and
//                                must not put its bytes, or their deletion, over what was acknowledged since

import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import type { StoredPart } from '../../s3/multiparts.ts';

export const STAGING = 'staging/';
/** S3's own limits. */
export const MAX_PARTS = 10_000;
export const MIN_PART_BYTES: number = 5 * 1024 * 1024;
const MIB = 1024 * 1024;

export interface Multipart {
  uploadId: string;
  /** Of every part but the last. */
  partBytes: number;
}

/** As it is written down in the bucket, where others may write, too. */
const MULTIPART = z.object({ uploadId: z.string().min(1), partSize: z.number().int().positive() });

/** Bytes [start, start + size). */
export interface Tail {
  key: string;
  start: number;
  size: number;
}

export interface Staged {
  /** Size of the whole object, once there is one. */
  sealed: number | undefined;
  hasMultipart: boolean;
  /** Size of the object that a sender put past this server, once there is one. */
  direct: number | undefined;
  /** By their starts. */
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

/** A new one each time. */
export function newTailKey(id: UploadId, start: number): string {
  return `${folderOf(id)}tail-${String(start).padStart(15, '0')}-${randomBytes(4).toString('hex')}`;
}

/** The least that holds the length in the parts that S3 allows, in whole MiB so that every server likes it. */
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

/** What `readMultipart` reads. */
export function writtenMultipart({ uploadId, partBytes }: Multipart): Buffer {
  const written: z.input<typeof MULTIPART> = { uploadId, partSize: partBytes };
  return Buffer.from(JSON.stringify(written));
}

/** Makes a multipart upload and writes down its id; where somebody was first, theirs it is. */
export async function startMultipart(bucket: Bucket, id: UploadId, partBytes: number): Promise<Multipart> {
  const uploadId = await bucket.multiparts.start(bytesKey(id));
  const multipart: Multipart = { uploadId, partBytes };
  if (await bucket.putNew(multipartKey(id), writtenMultipart(multipart))) return multipart;
  const first = await readMultipart(bucket, id);
  if (first.uploadId !== uploadId) await bucket.multiparts.abort(bytesKey(id), uploadId);
  return first;
}

/** The parts that count: from the first after `after` on, each full, up to the first that is not. */
export function leadingParts(parts: readonly StoredPart[], partBytes: number, after = 0): StoredPart[] {
  const leading: StoredPart[] = [];
  for (const part of parts) {
    if (part.number !== after + leading.length + 1 || part.size !== partBytes) break;
    leading.push(part);
  }
  return leading;
}

/**
 * The tails that hold the bytes from `start` on without a gap, up to `end` at most. One that begins anywhere else than where
 * the one before ends is left from an attempt that was never acknowledged; so is, of two that begin at one place, the one that
 * does not lead to the end, or only beyond it.
 */
export function tailsFrom(tails: readonly Tail[], start: number, end: number = Number.POSITIVE_INFINITY): Tail[] {
  // From the last on: what follows a tail is known before it.
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

/** As `tailsFrom`, of the chain that holds most from `start` on; its first tail may begin before. None: no tail holds the byte at `start`. */
export function tailsOver(tails: readonly Tail[], start: number, end: number = Number.POSITIVE_INFINITY): Tail[] {
  let longest: Tail[] = [];
  const starts = new Set(tails.map((tail) => tail.start).filter((at) => at <= start));
  for (const from of [...starts].sort((a, b) => b - a)) {
    const chain = tailsFrom(tails, from, end);
    if (endOf(chain, from) > Math.max(start, endOf(longest, start))) longest = chain;
  }
  return longest;
}

/** Whether the tail of a chain is only the first bytes of what is stored. */
export function isCut(tail: Tail, stored: readonly Tail[]): boolean {
  return stored.some(({ key, size }) => key === tail.key && size > tail.size);
}

/** The first bytes of a stored tail as one of its own. */
export async function cutTail(bucket: Bucket, id: UploadId, { key, start, size }: Tail): Promise<Tail> {
  const tail = { key: newTailKey(id, start), start, size };
  await bucket.put(tail.key, await bucket.read(key, 0, size));
  return tail;
}

/** Bytes of tails together. */
export function sizeOf(tails: readonly Tail[]): number {
  return tails.reduce((sum, { size }) => sum + size, 0);
}

export function endOf(chain: readonly Tail[], start: number): number {
  const last = chain.at(-1);
  return last === undefined ? start : last.start + last.size;
}
