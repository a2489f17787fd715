// With any settings, clamd 1.4 answers OK for an archive with a member that is larger than it scans. So ZIP archives, and ZIP archives
// inside them, are searched for such members first.

import { AmbiguousContainer, BrokenContainer, type ByteRanges, cachedRanges, rangesOf, rangesWithin, readAt } from './byte-ranges.ts';
import { Inflater } from './inflate.ts';
import { packedContent, readZipDirectory, type ZipEntry } from './zip-directory.ts';

/** Archives in archives: deeper than people nest them. */
const MAX_DEPTH = 4;
/** Memory for an unpacked archive inside an archive. */
const MAX_INNER_BYTES = 16 * 1024 * 1024;
const STORED = 0;
const DEFLATED = 8;
/** An archive with one member has more bytes. */
const LEAST_ARCHIVE_BYTES = 22;
const LOCAL_HEADER = Buffer.from('PK\x03\x04', 'latin1');

/** Why the scanner could not scan the whole file, for the sender; undefined: it can, or the file is no ZIP archive. */
export async function findOversizedMember(file: ByteRanges, maxBytes: number): Promise<string | undefined> {
  try {
    return await search(file, { maxBytes, inflater: new Inflater(file.length) }, 0);
  } catch (error) {
    // The budget is spent, or an inner archive is broken.
    if (error instanceof BrokenContainer) return 'holds more than can be inspected';
    throw error;
  }
}

interface Limits {
  maxBytes: number;
  inflater: Inflater;
}

async function search(file: ByteRanges, limits: Limits, depth: number): Promise<string | undefined> {
  const ranges = cachedRanges(file);
  const directory = await readZipDirectory(ranges).catch((error: unknown) => {
    // The scanner might read another directory than the one that is searched here.
    if (error instanceof BrokenContainer && !(error instanceof AmbiguousContainer)) return undefined;
    throw error;
  });
  if (directory === undefined) return undefined;
  for await (const entries of directory.entries()) {
    for (const entry of entries) {
      if (entry.size > limits.maxBytes) return 'holds a file that is larger than the scanner accepts';
      const found = await searchInside(ranges, entry, limits, depth);
      if (found !== undefined) return found;
    }
  }
  return undefined;
}

async function searchInside(file: ByteRanges, entry: ZipEntry, limits: Limits, depth: number): Promise<string | undefined> {
  if (entry.isEncrypted || entry.size < LEAST_ARCHIVE_BYTES || (entry.method !== STORED && entry.method !== DEFLATED)) return undefined;
  const at = await packedContent(file, entry);
  if (at === undefined) return undefined;
  const packed = rangesWithin(file, at.start, at.length);
  const isStored = entry.method === STORED;
  const beginning = isStored ? await readAt(packed, 0, LOCAL_HEADER.length) : await limits.inflater.beginning(packed, LOCAL_HEADER.length);
  if (!beginning.subarray(0, LOCAL_HEADER.length).equals(LOCAL_HEADER)) return undefined;
  if (depth + 1 >= MAX_DEPTH) return 'holds archives in archives, deeper than can be inspected';
  if (isStored) return search(packed, limits, depth + 1);
  const { bytes, isCut } = await limits.inflater.object(packed, 'raw', MAX_INNER_BYTES);
  return isCut ? 'holds an archive that is too large to be inspected' : search(rangesOf(bytes, file.signal), limits, depth + 1);
}
