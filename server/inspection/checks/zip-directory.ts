/** Reads the central directory of a ZIP archive by ranges, and no contents. */
import { setImmediate } from 'node:timers/promises';
import { AmbiguousContainer, BrokenContainer, type ByteRanges, readAt } from './byte-ranges.ts';

export interface ZipEntry {
  /** As written, byte for byte: letters beyond ASCII are not decoded correctly, but no name that matters has any. */
  readonly name: string;
  /** Another name that some readers (Info-ZIP, 7-Zip) use instead: the field "Unicode Path". */
  readonly otherName: string | undefined;
  readonly isEncrypted: boolean;
  readonly method: number;
  readonly compressedSize: number;
  /** The declared size. */
  readonly size: number;
  /** Kind and permissions of Unix, whichever system the entry names; 0 without them. */
  readonly unixMode: number;
  /** The position of its local header. */
  readonly position: number;
}

export interface ZipDirectory {
  /** The position of the directory, which is after all entries. */
  readonly start: number;
  /**
   * True when positions are valid in this file. They are not in the last part of a split archive, nor beyond 4 GiB without the 64-bit
   * end record: macOS writes such archives, without the upper half of the position.
   */
  readonly hasPositions: boolean;
  /** Yields about a thousand at a time, on demand: there may be millions. @throws BrokenContainer */
  entries(): AsyncGenerator<readonly ZipEntry[], void, void>;
}

const END = Buffer.from('PK\x05\x06', 'latin1');
const END_BYTES = 22;
const ENTRY = 0x02014b50;
const ENTRY_BYTES = 46;
export const LOCAL_BYTES = 30;
const LOCAL = 0x04034b50;
const END64 = 0x06064b50;
const END64_BYTES = 56;
const LOCATOR64 = 0x07064b50;
const LOCATOR64_BYTES = 20;
const FOUR_GIB = 2 ** 32;
/** A comment of the largest size may follow the end record. */
const TAIL_BYTES = END_BYTES + 0xffff + LOCATOR64_BYTES;
/** A comment has no end records with positions in the file, except by chance. */
const MAX_OTHER_RECORDS = 16;
/** A few milliseconds' work. Three fields of 64 KiB each fit. */
const WINDOW_BYTES = 256 * 1024;

interface DirectoryLocation {
  start: number;
  end: number;
  /** Bytes before the archive in the file, which the directory's positions do not count. */
  shift: number;
  isLarge: boolean;
  isSplit: boolean;
}

/** @throws BrokenContainer */
export async function readZipDirectory(file: ByteRanges): Promise<ZipDirectory> {
  const directory = await findDirectory(file);
  return {
    start: directory.start,
    hasPositions: !directory.isSplit && (directory.isLarge || file.length < FOUR_GIB),
    entries: () => readEntries(file, directory),
  };
}

async function* readEntries(file: ByteRanges, { start, end, shift }: DirectoryLocation): AsyncGenerator<readonly ZipEntry[], void, void> {
  for (let position = start; position < end; ) {
    const window = await readAt(file, position, Math.min(position + WINDOW_BYTES, end));
    const entries: ZipEntry[] = [];
    let offset = 0;
    while (offset + ENTRY_BYTES <= window.length && offset + entryBytes(window, offset) <= window.length) {
      if (window.readUInt32LE(offset) !== ENTRY) throw new BrokenContainer('The directory holds something else.');
      entries.push(readEntry(window, offset, shift));
      offset += entryBytes(window, offset);
    }
    if (entries.length === 0) throw new BrokenContainer('The directory is cut off.');
    yield entries;
    position += offset;
    // When reads come from memory, only this lets the event loop run.
    await setImmediate();
  }
}

function entryBytes(window: Buffer, offset: number): number {
  return ENTRY_BYTES + window.readUInt16LE(offset + 28) + window.readUInt16LE(offset + 30) + window.readUInt16LE(offset + 32);
}

function readEntry(window: Buffer, at: number, shift: number): ZipEntry {
  const nameEnd = at + ENTRY_BYTES + window.readUInt16LE(at + 28);
  const numbers = {
    size: window.readUInt32LE(at + 24),
    compressedSize: window.readUInt32LE(at + 20),
    position: window.readUInt32LE(at + 42),
  };
  const extraEnd = nameEnd + window.readUInt16LE(at + 30);
  const name = window.toString('latin1', at + ENTRY_BYTES, nameEnd);
  const otherName = extraEnd === nameEnd ? undefined : readExtraFields(window, nameEnd, extraEnd, numbers);
  if (name.includes('\0') || otherName?.includes('\0')) throw new AmbiguousContainer('A name contains a NUL, where some readers end it.');
  return {
    name,
    otherName,
    // Bit 0: content encrypted; 6: strongly; 13: the local header masked (APPNOTE 4.4.4).
    isEncrypted: (window.readUInt16LE(at + 8) & 0x2041) !== 0,
    method: window.readUInt16LE(at + 10),
    size: numbers.size,
    compressedSize: numbers.compressedSize,
    unixMode: window.readUInt16LE(at + 40),
    position: numbers.position + shift,
  };
}

/** Fills in numbers that did not fit their fields (APPNOTE 4.5.3), in order, and returns the other name, if there is one (4.6.9). */
function readExtraFields(
  window: Buffer,
  start: number,
  end: number,
  numbers: { size: number; compressedSize: number; position: number },
): string | undefined {
  let otherName: string | undefined;
  let hasNumbers = false;
  for (let at = start; at + 4 <= end; ) {
    const id = window.readUInt16LE(at);
    if ((id === 0x0001 && hasNumbers) || (id === 0x7075 && otherName !== undefined)) throw new AmbiguousContainer('A field exists twice.');
    const fieldEnd = Math.min(end, at + 4 + window.readUInt16LE(at + 2));
    if (id === 0x0001) {
      hasNumbers = true;
      let from = at + 4;
      for (const key of ['size', 'compressedSize', 'position'] as const) {
        if (numbers[key] !== 0xffffffff || from + 8 > fieldEnd) continue;
        numbers[key] = Number(window.readBigUInt64LE(from));
        from += 8;
      }
    }
    // A version and a checksum come before it.
    if (id === 0x7075) otherName = window.toString('latin1', at + 9, fieldEnd);
    at = fieldEnd;
  }
  return otherName;
}

async function findDirectory(file: ByteRanges): Promise<DirectoryLocation> {
  const tailStart = Math.max(0, file.length - TAIL_BYTES);
  const tail = await readAt(file, tailStart, file.length);
  const at = findEnd(tail);
  if (at === -1) throw new BrokenContainer('The archive has no directory.');
  await refuseOtherDirectories(file, tail, tailStart, at);
  const record = readEnd(tail, tailStart, at);
  const large = await findEnd64(file, tail, tailStart, at);
  if (large !== undefined) refuseOtherNumbers(record, large);
  const { size, offset, count, position: end } = large ?? record;
  const isLarge = large !== undefined;
  // The number of this part; all ones when only the 64-bit record has it.
  const isSplit = ![0, 0xffff].includes(tail.readUInt16LE(at + 4));
  // Counting back from its end finds the directory also after a prefix (a self-extracting archive, a picture).
  const starts = await directoriesAt(file, { size, offset, position: end });
  const [start] = starts;
  // Readers differ in which of the two they prefer, and in whether they trust the count or the size.
  if (starts.length > 1) throw new AmbiguousContainer('There are two directories.');
  if (start === undefined) {
    if (size !== 0 || count !== 0) throw new BrokenContainer('The directory is not where it should be.');
    return { start: end, end, shift: 0, isLarge, isSplit };
  }
  if (start + size > end) throw new BrokenContainer('The directory is cut off.');
  if (size === 0 || (await isEntryAt(file, start + size))) throw new AmbiguousContainer('The directory is longer than it says.');
  // A distance of whole 4 GiB is no prefix, but the missing upper half of an offset.
  const shift = !isLarge && (start - offset) % FOUR_GIB === 0 ? 0 : start - offset;
  return { start, end: start + size, shift, isLarge, isSplit };
}

/** What an end record says of the directory. */
interface EndRecord {
  /** Its own position in the file. */
  position: number;
  count: number;
  size: number;
  offset: number;
}

function readEnd(tail: Buffer, tailStart: number, at: number): EndRecord {
  return {
    position: tailStart + at,
    count: tail.readUInt16LE(at + 10),
    size: tail.readUInt32LE(at + 12),
    offset: tail.readUInt32LE(at + 16),
  };
}

/** Where readers look for the directory and find an entry: before the record, and at the stated offset. */
async function directoriesAt(file: ByteRanges, { position, size, offset }: Omit<EndRecord, 'count'>): Promise<number[]> {
  const found = new Set<number>();
  for (const start of [position - size, offset]) if (await isEntryAt(file, start)) found.add(start);
  return [...found];
}

async function isEntryAt(file: ByteRanges, position: number): Promise<boolean> {
  const signature = await readAt(file, position, position + 4);
  return signature.length === 4 && signature.readUInt32LE(0) === ENTRY;
}

/** Many readers take the last end record of the file, also one in the comment of another. It must not lead to a directory. */
async function refuseOtherDirectories(file: ByteRanges, tail: Buffer, tailStart: number, end: number): Promise<void> {
  let left = MAX_OTHER_RECORDS;
  for (let at = tail.indexOf(END, end + 1); at !== -1 && at + END_BYTES <= tail.length; at = tail.indexOf(END, at + 1)) {
    const own = readEnd(tail, tailStart, at);
    const mayLead = own.size <= own.position || own.offset < file.length;
    if (!mayLead && !hasLocator64(tail, at)) continue;
    if (left-- === 0) throw new AmbiguousContainer('There are too many end records.');
    const large = await findEnd64(file, tail, tailStart, at);
    for (const record of [own, ...(large === undefined ? [] : [large])]) {
      if ((await directoriesAt(file, record)).length > 0) throw new AmbiguousContainer('There are two end records.');
    }
  }
}

/** Some readers heed the 64-bit record only when a field of the other one is all ones. */
function refuseOtherNumbers(record: EndRecord, large: EndRecord): void {
  // Some writers keep only the lower half of the count, which is not needed to find the directory.
  const isCount = record.count === 0xffff || record.count === large.count % 2 ** 16;
  const isSize = record.size === 0xffffffff || record.size === large.size;
  const isOffset = record.offset === 0xffffffff || record.offset === large.offset;
  if (!(isCount && isSize && isOffset)) throw new AmbiguousContainer('The end records differ.');
}

function hasLocator64(tail: Buffer, end: number): boolean {
  return end >= LOCATOR64_BYTES && tail.readUInt32LE(end - LOCATOR64_BYTES) === LOCATOR64;
}

/** The 64-bit end record. Some programs write it into small archives, too, and also fill the fields of the other record. */
async function findEnd64(file: ByteRanges, tail: Buffer, tailStart: number, end: number): Promise<EndRecord | undefined> {
  if (!hasLocator64(tail, end)) return undefined;
  const locator = end - LOCATOR64_BYTES;
  const stated = Number(tail.readBigUInt64LE(locator + 8));
  const found = new Map<number, EndRecord>();
  // Before the locator when a prefix is not counted. Readers differ in where they look first.
  for (const position of [stated, tailStart + locator - END64_BYTES]) {
    const record = await readAt(file, position, position + END64_BYTES);
    if (record.length < END64_BYTES || record.readUInt32LE(0) !== END64) continue;
    found.set(position, {
      position,
      count: Number(record.readBigUInt64LE(32)),
      size: Number(record.readBigUInt64LE(40)),
      offset: Number(record.readBigUInt64LE(48)),
    });
  }
  if (found.size > 1) throw new AmbiguousContainer('There are two 64-bit end records.');
  const [record] = found.values();
  if (record === undefined) throw new BrokenContainer('The directory of a large archive is missing.');
  return record;
}

/** The last end record whose comment ends with the file (a comment may contain something similar); otherwise the last that fits. */
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

/**
 * The packed content of an entry: the range after its local header. Undefined without one.
 * @throws AmbiguousContainer when the local header has another name or method: some readers heed it, and not the directory
 */
export async function packedContent(file: ByteRanges, entry: ZipEntry): Promise<{ start: number; length: number } | undefined> {
  const nameStart = entry.position + LOCAL_BYTES;
  const local = await readAt(file, entry.position, nameStart + entry.name.length);
  if (local.length < LOCAL_BYTES || local.readUInt32LE(0) !== LOCAL) return undefined;
  const nameBytes = local.readUInt16LE(26);
  const name = local.toString('latin1', LOCAL_BYTES, LOCAL_BYTES + nameBytes);
  if (nameBytes !== entry.name.length || name !== entry.name || local.readUInt16LE(8) !== entry.method) {
    throw new AmbiguousContainer('The header of an entry differs from the directory.');
  }
  const start = nameStart + nameBytes + local.readUInt16LE(28);
  return { start, length: Math.max(0, Math.min(entry.compressedSize, file.length - start)) };
}
