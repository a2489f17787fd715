/** The OLE objects of a PowerPoint document, its VBA project included: records of its only stream ([MS-PPT]). */
import { setImmediate } from 'node:timers/promises';
import { type ByteRanges, numbersIn, readAt } from './byte-ranges.ts';

const HEADER_BYTES = 8;
/** RT_ExternalOleObjectStg: objects, controls and the project (2.10.34, 2.10.37, 2.10.40). */
const OBJECT_STORAGE = 0x1011;
const PERSIST_DIRECTORY = 0x1772;
const USER_EDIT = 0x0ff5;
/** Real documents have thousands of slides, notes, masters and objects. */
const MAX_RECORDS = 200_000;
const MAX_EDITS = 10_000;
const RECORDS_BETWEEN_YIELDS = 1000;

export interface StoredObject {
  /** Position in the stream. */
  start: number;
  length: number;
  /** Compressed by zlib, after four bytes with the unpacked size. */
  isCompressed: boolean;
}

interface RecordHeader {
  type: number;
  instance: number;
  length: number;
}

/**
 * The objects that the document's directory lists, as PowerPoint reads it: from the last edit back to the first. And the objects that
 * follow one another from the beginning, for a document with a damaged directory.
 */
export async function powerPointObjects(document: ByteRanges, currentUser: ByteRanges | undefined): Promise<StoredObject[]> {
  const offsets = new Set<number>();
  if (currentUser !== undefined) await addPersisted(document, currentUser, offsets);
  let count = 0;
  for (let at = 0; at + HEADER_BYTES <= document.length && count < MAX_RECORDS; count++) {
    if (count % RECORDS_BETWEEN_YIELDS === 0) await setImmediate();
    const header = await readHeader(document, at);
    if (header === undefined) break;
    if (header.type === OBJECT_STORAGE) offsets.add(at);
    at += HEADER_BYTES + header.length;
  }
  const objects: StoredObject[] = [];
  for (const [index, offset] of [...offsets].entries()) {
    if (index % RECORDS_BETWEEN_YIELDS === 0) await setImmediate();
    const header = await readHeader(document, offset);
    if (header?.type !== OBJECT_STORAGE) continue;
    const isCompressed = header.instance === 1;
    const skipped = HEADER_BYTES + (isCompressed ? 4 : 0);
    objects.push({ start: offset + skipped, length: header.length - (isCompressed ? 4 : 0), isCompressed });
  }
  return objects;
}

async function addPersisted(document: ByteRanges, currentUser: ByteRanges, offsets: Set<number>): Promise<void> {
  // CurrentUserAtom (2.3.2): header, size, token, offset of the last edit.
  const atom = await readAt(currentUser, 0, 20);
  const seen = new Set<number>();
  for (let at = atom.length < 20 ? 0 : atom.readUInt32LE(16); at !== 0 && !seen.has(at) && seen.size < MAX_EDITS; ) {
    seen.add(at);
    // UserEditAtom (2.3.3): header, last slide, version, offsets of the edit before and of the directory.
    const edit = await readAt(document, at, at + HEADER_BYTES + 16);
    if (edit.length < HEADER_BYTES + 16 || edit.readUInt16LE(2) !== USER_EDIT) return;
    await addDirectory(document, edit.readUInt32LE(HEADER_BYTES + 12), offsets);
    at = edit.readUInt32LE(HEADER_BYTES + 8);
  }
}

/** PersistDirectoryAtom (2.3.4): the first number and their count in one field of 20 and 12 bits, then an offset for each. */
async function addDirectory(document: ByteRanges, at: number, offsets: Set<number>): Promise<void> {
  const header = await readHeader(document, at);
  if (header?.type !== PERSIST_DIRECTORY) return;
  const entries = await readAt(document, at + HEADER_BYTES, at + HEADER_BYTES + Math.min(header.length, 4 * MAX_RECORDS));
  for (let from = 0; from + 4 <= entries.length; ) {
    const count = entries.readUInt32LE(from) >>> 20;
    from += 4;
    for (const offset of numbersIn(entries, from, from + count * 4)) {
      if (offsets.size >= MAX_RECORDS) return;
      offsets.add(offset);
    }
    from += count * 4;
  }
}

async function readHeader(document: ByteRanges, at: number): Promise<RecordHeader | undefined> {
  const header = await readAt(document, at, at + HEADER_BYTES);
  if (header.length < HEADER_BYTES) return undefined;
  return { type: header.readUInt16LE(2), instance: header.readUInt16LE(0) >> 4, length: header.readUInt32LE(4) };
}
