/** What a tar archive would do when it is unpacked. Each member has its header before it; the headers are read one after another. */
import { setImmediate } from 'node:timers/promises';
import type { Policy } from '../../../shared/policy.ts';
import { BrokenContainer, type ByteRanges, readAt } from './byte-ranges.ts';
import { Links, leavesFolder } from './member-paths.ts';
import { tooManyEntries } from './zip-rules.ts';

const BLOCK_BYTES = 512;
/** A header and its extensions; larger when members are small. */
const LEAST_WINDOW_BYTES = 4096;
const MOST_WINDOW_BYTES = 256 * 1024;
/** Long names and attributes of one member, which come before it. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
const MAX_LINKS = 100_000;
/** After this many members, other work gets its turn. */
const MEMBERS_AT_ONCE = 1000;

interface Member {
  name: string;
  /** Its type flag; NUL and `0` are files. */
  kind: string;
  target: string;
}

/** Why the archive is unsafe, for the sender. @throws BrokenContainer when a header is invalid */
export async function unsafeInTar(file: ByteRanges, policy: Policy): Promise<string | undefined> {
  const { archiveRules, archiveMaxEntries } = policy;
  const links = new Links();
  const checksPaths = archiveRules.includes('paths');
  const checksLinks = archiveRules.includes('links');
  let count = 0;
  for await (const some of membersOf(file)) {
    await setImmediate();
    for (const { name, kind, target } of some) {
      count++;
      if (count > archiveMaxEntries && archiveRules.includes('entries')) return tooManyEntries(archiveMaxEntries);
      if (checksPaths && leavesFolder(name)) return 'holds a file that would be unpacked outside of its folder';
      if (!checksLinks) continue;
      // A hard link names another member; a symbolic link is relative to its own path.
      if ((kind === '1' && leavesFolder(target)) || (kind === '2' && !links.add(name, target))) {
        return 'holds a link that leads out of its folder';
      }
      if (links.count > MAX_LINKS) return 'holds more links than can be checked';
    }
  }
  return links.areNested ? 'holds a link below another' : undefined;
}

/** Many at a time: a turn of the event loop for each would cost more than everything else. */
async function* membersOf(file: ByteRanges): AsyncGenerator<Member[], void, void> {
  const windows = new Windows(file);
  let some: Member[] = [];
  let longName: string | undefined;
  let longTarget: string | undefined;
  let paxSize: number | undefined;
  for (let at = 0; at < file.length; ) {
    const header = windows.at(at, BLOCK_BYTES) ?? (await windows.read(at, BLOCK_BYTES));
    // An empty block ends the archive; an archive that is cut off is not judged.
    if (header.length < BLOCK_BYTES || isZero(header)) break;
    if (!isHeader(header)) throw new BrokenContainer('A header is missing.');
    const kind = String.fromCharCode(header[156] ?? 0);
    const isExtension = 'xgLK'.includes(kind);
    const size = isExtension ? numberAt(header, 124, 12) : (paxSize ?? numberAt(header, 124, 12));
    at += BLOCK_BYTES;
    if (isExtension) {
      if (size > MAX_EXTENSION_BYTES) throw new BrokenContainer('A name is too long.');
      const content = await windows.read(at, size);
      if (kind === 'L') longName = textAt(content, 0, content.length);
      else if (kind === 'K') longTarget = textAt(content, 0, content.length);
      else {
        const records = paxRecords(content);
        longName = records.get('path') ?? longName;
        longTarget = records.get('linkpath') ?? longTarget;
        if (records.has('size')) paxSize = Number(records.get('size'));
      }
    } else {
      some.push({ name: longName ?? nameOf(header), kind, target: longTarget ?? textAt(header, 157, 257) });
      if (some.length >= MEMBERS_AT_ONCE) {
        yield some;
        some = [];
      }
      longName = undefined;
      longTarget = undefined;
      paxSize = undefined;
      // GNU's old sparse files: each map says whether another follows.
      for (let isMore = kind === 'S' && header[482] === 1; isMore; ) {
        const map = await windows.read(at, BLOCK_BYTES);
        at += BLOCK_BYTES;
        isMore = map[504] === 1;
      }
    }
    // Some programs write the size of a link's target, but not its content.
    const isEmpty = '123456'.includes(kind) && size > 0 && isHeader(await windows.read(at, BLOCK_BYTES));
    if (!isEmpty) at += Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    if (!Number.isSafeInteger(at)) throw new BrokenContainer('A size is invalid.');
  }
  yield some;
}

/** Reads ahead, and further ahead while the reads are consecutive. */
class Windows {
  readonly #file: ByteRanges;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #size = LEAST_WINDOW_BYTES;

  constructor(file: ByteRanges) {
    this.#file = file;
  }

  /** Bytes that were read ahead; otherwise undefined. */
  at(at: number, length: number): Buffer | undefined {
    const offset = at - this.#start;
    return offset >= 0 && offset + length <= this.#bytes.length ? this.#bytes.subarray(offset, offset + length) : undefined;
  }

  async read(at: number, length: number): Promise<Buffer> {
    const known = this.at(at, length);
    if (known !== undefined) return known;
    const offset = at - this.#start;
    const isNext = offset >= 0 && offset <= this.#bytes.length;
    this.#size = isNext ? Math.min(this.#size * 2, MOST_WINDOW_BYTES) : LEAST_WINDOW_BYTES;
    this.#start = at;
    this.#bytes = await readAt(this.#file, at, at + Math.max(length, this.#size));
    return this.#bytes.subarray(0, length);
  }
}

function isZero(block: Buffer): boolean {
  return block.every((byte) => byte === 0);
}

/** By the sum of its bytes, with spaces in the field of the sum; some old programs added signed bytes. */
function isHeader(header: Buffer): boolean {
  if (header.length < BLOCK_BYTES) return false;
  // Adds four bytes at a time into two sums of 16 bits: 256 bytes add up to 65,280 at most.
  const words = new DataView(header.buffer, header.byteOffset, BLOCK_BYTES);
  let sums = 0;
  for (let at = 0; at < BLOCK_BYTES; at += 4) {
    const word = at === 148 || at === 152 ? 0x20202020 : words.getUint32(at);
    sums = (sums + (word & 0x00ff00ff) + ((word >>> 8) & 0x00ff00ff)) | 0;
  }
  const sum = (sums & 0xffff) + (sums >>> 16);
  const stated = numberAt(header, 148, 8);
  if (stated === sum) return true;
  let large = 0;
  for (const [index, byte] of header.entries()) if (byte >= 128 && (index < 148 || index >= 156)) large++;
  return stated === sum - 256 * large;
}

/** Octal digits; or, when the first bit is set, a binary number (GNU, for large ones). */
function numberAt(header: Buffer, start: number, length: number): number {
  if (((header[start] ?? 0) & 0x80) !== 0) return Number(BigInt(`0x${header.toString('hex', start + 1, start + length)}`));
  let number = 0;
  let isBegun = false;
  for (let at = start; at < start + length; at++) {
    const digit = (header[at] ?? 0) - 0x30;
    const isDigit = digit >= 0 && digit < 8;
    // Spaces may come before the digits, and a space or NUL after them.
    if (header[at] === 0 || (isBegun && !isDigit)) break;
    if (!isDigit) continue;
    number = number * 8 + digit;
    isBegun = true;
  }
  return number;
}

function nameOf(header: Buffer): string {
  const name = textAt(header, 0, 100);
  const folder = header[345] !== 0 && header.toString('latin1', 257, 263) === 'ustar\0' ? textAt(header, 345, 500) : '';
  return folder === '' ? name : `${folder}/${name}`;
}

/** The text from `start` to before `most`, or up to a NUL in it. */
function textAt(bytes: Buffer, start: number, most: number): string {
  let end = start;
  while (end < most && bytes[end] !== 0) end++;
  return end === start ? '' : bytes.toString('latin1', start, end);
}

/** POSIX pax: lines of "length key=value"; the length includes itself. */
function paxRecords(content: Buffer): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length; ) {
    const space = content.indexOf(0x20, at);
    const length = space === -1 ? Number.NaN : Number(content.toString('latin1', at, space));
    if (!(Number.isInteger(length) && length > space - at + 1)) break;
    const text = content.toString('latin1', space + 1, at + length - 1);
    const equals = text.indexOf('=');
    if (equals > 0) records.set(text.slice(0, equals), text.slice(equals + 1));
    at += length;
  }
  return records;
}
