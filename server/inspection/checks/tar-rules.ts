/** What a tar archive would do when it is unpacked: its headers stand before each member, and are read from one to the next. */
import { setImmediate } from 'node:timers/promises';
import type { Policy } from '../../../shared/policy.ts';
import { BrokenContainer, type ByteRanges, readAt } from './byte-ranges.ts';
import { Links, leavesFolder } from './member-paths.ts';
import { tooManyEntries } from './zip-rules.ts';

const BLOCK_BYTES = 512;
/** A header and what belongs to it; more at a time where members are small. */
const LEAST_WINDOW_BYTES = 4096;
const MOST_WINDOW_BYTES = 256 * 1024;
/** Long names and attributes of one member, which stand before it. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
const MAX_LINKS = 100_000;
const MEMBERS_BETWEEN_YIELDS = 1000;

interface Member {
  name: string;
  /** Its kind, a character; NUL and `0` are files. */
  kind: string;
  target: string;
}

/** What is unsafe about it, for the sender. @throws BrokenContainer where something that is no header stands in the place of one */
export async function unsafeInTar(file: ByteRanges, policy: Policy): Promise<string | undefined> {
  const { archiveRules, archiveMaxEntries } = policy;
  const links = new Links();
  let count = 0;
  for await (const { name, kind, target } of members(file)) {
    if (++count % MEMBERS_BETWEEN_YIELDS === 0) await setImmediate();
    if (archiveRules.includes('entries') && count > archiveMaxEntries) return tooManyEntries(archiveMaxEntries);
    if (archiveRules.includes('paths') && leavesFolder(name)) return 'holds a file that would be unpacked outside of its folder';
    if (!archiveRules.includes('links')) continue;
    // A hard link names another member; a symbolic one leads from where it stands.
    if ((kind === '1' && leavesFolder(target)) || (kind === '2' && !links.add(name, target))) {
      return 'holds a link that leads out of its folder';
    }
    if (links.count > MAX_LINKS) return 'holds more links than can be looked at';
  }
  return links.areNested ? 'holds a link below another' : undefined;
}

async function* members(file: ByteRanges): AsyncGenerator<Member, void, void> {
  const windows = new Windows(file);
  let longName: string | undefined;
  let longTarget: string | undefined;
  let paxSize: number | undefined;
  for (let at = 0; at < file.length; ) {
    const header = await windows.read(at, BLOCK_BYTES);
    // An empty block ends it; one that is cut off is not judged.
    if (header.length < BLOCK_BYTES || isZero(header)) return;
    if (!isHeader(header)) throw new BrokenContainer('There is no header where one should be.');
    const kind = String.fromCharCode(header[156] ?? 0);
    const isExtension = 'xgLK'.includes(kind);
    const size = isExtension ? numberAt(header, 124, 12) : (paxSize ?? numberAt(header, 124, 12));
    at += BLOCK_BYTES;
    if (isExtension) {
      if (size > MAX_EXTENSION_BYTES) throw new BrokenContainer('No name is so long.');
      const content = await windows.read(at, size);
      if (kind === 'L') longName = untilNul(content);
      else if (kind === 'K') longTarget = untilNul(content);
      else {
        const records = paxRecords(content);
        longName = records.get('path') ?? longName;
        longTarget = records.get('linkpath') ?? longTarget;
        if (records.has('size')) paxSize = Number(records.get('size'));
      }
    } else {
      yield { name: longName ?? nameOf(header), kind, target: longTarget ?? untilNul(header.subarray(157, 257)) };
      longName = undefined;
      longTarget = undefined;
      paxSize = undefined;
      // GNU's old sparse files: more maps follow while each says so.
      for (let isMore = kind === 'S' && header[482] === 1; isMore; ) {
        const map = await windows.read(at, BLOCK_BYTES);
        at += BLOCK_BYTES;
        isMore = map[504] === 1;
      }
    }
    // Some programs write the size of what a link points to, and nothing of it.
    const isEmpty = '123456'.includes(kind) && size > 0 && isHeader(await windows.read(at, BLOCK_BYTES));
    if (!isEmpty) at += Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
    if (!Number.isSafeInteger(at)) throw new BrokenContainer('A size is none.');
  }
}

/** Reads ahead as far as it was of use. */
class Windows {
  readonly #file: ByteRanges;
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #size = LEAST_WINDOW_BYTES;

  constructor(file: ByteRanges) {
    this.#file = file;
  }

  async read(at: number, length: number): Promise<Buffer> {
    const offset = at - this.#start;
    if (offset >= 0 && offset + length <= this.#bytes.length) return this.#bytes.subarray(offset, offset + length);
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

/** By the sum of its bytes, the field of the sum itself taken for spaces; some programs of old took bytes for signed. */
function isHeader(header: Buffer): boolean {
  if (header.length < BLOCK_BYTES) return false;
  let sum = 0;
  let signed = 0;
  for (let index = 0; index < BLOCK_BYTES; index++) {
    const byte = index >= 148 && index < 156 ? 0x20 : (header[index] ?? 0);
    sum += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stated = numberAt(header, 148, 8);
  return stated === sum || stated === signed;
}

/** Octal digits; or, where the first bit is set, the bytes as they are (GNU, for large ones). */
function numberAt(header: Buffer, start: number, length: number): number {
  if (((header[start] ?? 0) & 0x80) !== 0) return Number(BigInt(`0x${header.toString('hex', start + 1, start + length)}`));
  const [digits] = /[0-7]+/.exec(header.toString('latin1', start, start + length).split('\0', 1)[0] ?? '') ?? ['0'];
  return Number.parseInt(digits, 8);
}

function nameOf(header: Buffer): string {
  const name = untilNul(header.subarray(0, 100));
  const isPosix = header.toString('latin1', 257, 263) === 'ustar\0';
  const folder = isPosix ? untilNul(header.subarray(345, 500)) : '';
  return folder === '' ? name : `${folder}/${name}`;
}

function untilNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end === -1 ? bytes.length : end);
}

/** POSIX pax: lines of "length key=value", the length counting itself. */
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
