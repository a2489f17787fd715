/** Reads the central directory of a ZIP archive by ranges. Contents are left alone, but for small parts that are asked for. */
import { promisify } from 'node:util';
import { constants, inflateRaw } from 'node:zlib';
import type { Inspectable } from '../check.ts';

/** The part of an upload that containers are read through. */
export type ByteRanges = Pick<Inspectable, 'length' | 'read' | 'signal'>;

export interface ZipEntry {
  /** As written, with `/` between folders. Bytes beyond ASCII are not decoded rightly; no name that matters has any. */
  readonly name: string;
  readonly isEncrypted: boolean;
  readonly method: number;
  readonly compressedSize: number;
  /** Where its local header starts. */
  readonly position: number;
}

/** The directory is missing or contradicts itself: the archive is cut off or broken. */
export class BrokenContainer extends Error {
  override readonly name = 'BrokenContainer';
}

const END = Buffer.from('PK\x05\x06', 'latin1');
const END_BYTES = 22;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const END64 = 0x06064b50;
const END64_BYTES = 56;
const LOCATOR64 = 0x07064b50;
const LOCATOR64_BYTES = 20;
/** A comment of the largest size may follow the end record. */
const TAIL_BYTES = END_BYTES + 0xffff + LOCATOR64_BYTES;
const WINDOW_BYTES = 64 * 1024;

interface Directory {
  start: number;
  end: number;
  /** What precedes the archive in the file; positions in the directory do not count it. */
  shift: number;
}

/** One by one, read as they are asked for: there may be millions. @throws BrokenContainer */
export async function* zipEntries(file: ByteRanges): AsyncGenerator<ZipEntry, void, void> {
  const directory = await findDirectory(file);
  let window: Buffer = Buffer.alloc(0);
  let offset = 0;
  let position = directory.start;
  while (position < directory.end) {
    if (window.length - offset < ENTRY_BYTES || window.length - offset < entryBytes(window, offset)) {
      window = await readAt(file, position, Math.min(position + WINDOW_BYTES, directory.end));
      // Three fields of 64 KiB each may make one entry longer than the window.
      if (window.length >= ENTRY_BYTES && entryBytes(window, 0) > window.length) {
        window = await readAt(file, position, position + entryBytes(window, 0));
      }
      offset = 0;
      if (window.length < ENTRY_BYTES || entryBytes(window, 0) > window.length) throw new BrokenContainer('The directory is cut off.');
    }
    if (window.readUInt32LE(offset) !== ENTRY) throw new BrokenContainer('The directory holds something else.');
    const nameEnd = offset + ENTRY_BYTES + window.readUInt16LE(offset + 28);
    yield {
      name: window.toString('latin1', offset + ENTRY_BYTES, nameEnd).replaceAll('\\', '/'),
      // Bit 0: content encrypted; 6: strongly; 13: the local header masked (APPNOTE 4.4.4).
      isEncrypted: (window.readUInt16LE(offset + 8) & 0x2041) !== 0,
      method: window.readUInt16LE(offset + 10),
      compressedSize: window.readUInt32LE(offset + 20),
      position: window.readUInt32LE(offset + 42) + directory.shift,
    };
    const size = entryBytes(window, offset);
    offset += size;
    position += size;
  }
}

function entryBytes(window: Buffer, offset: number): number {
  return ENTRY_BYTES + window.readUInt16LE(offset + 28) + window.readUInt16LE(offset + 30) + window.readUInt16LE(offset + 32);
}

async function findDirectory(file: ByteRanges): Promise<Directory> {
  const tailStart = Math.max(0, file.length - TAIL_BYTES);
  const tail = await readAt(file, tailStart, file.length);
  const at = findEnd(tail);
  if (at === -1) throw new BrokenContainer('The archive has no directory.');
  const large = await findEnd64(file, tail, tailStart, at);
  const size = large?.size ?? tail.readUInt32LE(at + 12);
  const offset = large?.offset ?? tail.readUInt32LE(at + 16);
  const end = large?.position ?? tailStart + at;
  // Counted back from its end, it is found behind a prefix too (a self-extracting archive, a picture).
  for (const start of [end - size, offset]) {
    if (size === 0) return { start, end: start, shift: 0 };
    if (start < 0 || start + size > file.length) continue;
    const signature = await readAt(file, start, start + 4);
    if (signature.length === 4 && signature.readUInt32LE(0) === ENTRY) return { start, end: start + size, shift: start - offset };
  }
  throw new BrokenContainer('The directory is not where it should be.');
}

/** The 64-bit end record. Some programs write it where nothing is large, and leave the fields of the other one filled. */
async function findEnd64(
  file: ByteRanges,
  tail: Buffer,
  tailStart: number,
  end: number,
): Promise<{ position: number; size: number; offset: number } | undefined> {
  const locator = end - LOCATOR64_BYTES;
  if (locator < 0 || tail.readUInt32LE(locator) !== LOCATOR64) return undefined;
  const stated = Number(tail.readBigUInt64LE(locator + 8));
  for (const position of [stated, tailStart + locator - END64_BYTES]) {
    const record = await readAt(file, position, position + END64_BYTES);
    if (record.length === END64_BYTES && record.readUInt32LE(0) === END64) {
      return { position, size: Number(record.readBigUInt64LE(40)), offset: Number(record.readBigUInt64LE(48)) };
    }
  }
  throw new BrokenContainer('The directory of a large archive is missing.');
}

/** The last end record whose comment ends with the file (a comment may hold what looks like one); else the last that fits. */
function findEnd(tail: Buffer): number {
  let fitting = -1;
  for (let at = tail.lastIndexOf(END); at >= 0; at = at === 0 ? -1 : tail.lastIndexOf(END, at - 1)) {
    if (at + END_BYTES > tail.length) continue;
    const end = at + END_BYTES + tail.readUInt16LE(at + 20);
    if (end === tail.length) return at;
    if (end < tail.length && fitting === -1) fitting = at;
  }
  return fitting;
}

const inflate = promisify(inflateRaw);

/**
 * What comes of the first `maxCompressed` bytes of an entry. Undefined where it cannot be had: encrypted, by another
 * method than stored and deflated, broken, or more than `maxBytes`. (Deflate makes at most 1032 bytes of one.)
 */
export async function readBeginning(
  file: ByteRanges,
  entry: ZipEntry,
  maxCompressed: number,
  maxBytes: number,
): Promise<Buffer | undefined> {
  if (entry.isEncrypted || (entry.method !== 0 && entry.method !== 8)) return undefined;
  const local = await readAt(file, entry.position, entry.position + LOCAL_BYTES);
  if (local.length < LOCAL_BYTES || local.readUInt32LE(0) !== LOCAL) return undefined;
  const start = entry.position + LOCAL_BYTES + local.readUInt16LE(26) + local.readUInt16LE(28);
  const bytes = await readAt(file, start, start + Math.min(entry.compressedSize, maxCompressed));
  if (entry.method === 0) return bytes;
  try {
    return await inflate(bytes, { finishFlush: constants.Z_SYNC_FLUSH, maxOutputLength: maxBytes });
  } catch {
    return undefined;
  }
}

/** @throws what reading throws, and the reason of the abort */
export async function readAt(file: ByteRanges, start: number, end: number): Promise<Buffer> {
  file.signal.throwIfAborted();
  if (!(start >= 0 && start < end && start < file.length)) return Buffer.alloc(0);
  const bytes = await file.read(start, Math.min(end, file.length));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
