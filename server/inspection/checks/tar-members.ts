/**
 * Reads the members of a tar archive: each has its header before it, and the headers are read one after another. Programs differ in how
 * they read unusual archives (GNU tar, libarchive, Python, Go and node-tar were compared). Where they may see other members than this
 * one, the archive is refused; where they may see other names, each name is told.
 */
import { AmbiguousContainer, BrokenContainer, type ByteRanges, readAt } from './byte-ranges.ts';
import { TarExtensions } from './tar-extensions.ts';
import { BLOCK_BYTES, headerNames, headerSum, isHeader, isZero, numberAt, textAt } from './tar-header.ts';

/** A header and its extensions; larger when members are small. */
const LEAST_WINDOW_BYTES = 4096;
const MOST_WINDOW_BYTES = 256 * 1024;
/** Long names and attributes of one member, which come before it. */
const MAX_EXTENSION_BYTES = 1024 * 1024;
/** After this many members, or blocks that are none, other work gets its turn. */
const MEMBERS_AT_ONCE = 1000;

export interface TarMember {
  /** Each name that a reader may take for it, in Latin-1, byte for byte. */
  readonly names: readonly string[];
  /** Its type flag; NUL and `0` are files. */
  readonly kind: string;
  /** The same for the target of a link. */
  readonly targets: readonly string[];
}

/** Yields many at a time: a turn of the event loop for each would cost more than everything else. @throws BrokenContainer */
export async function* tarMembers(file: ByteRanges): AsyncGenerator<TarMember[], void, void> {
  const windows = new Windows(file);
  let some: TarMember[] = [];
  let extensions: TarExtensions | undefined;
  let hasEnd = false;
  /** Up to here, some readers skip what others read. */
  let doubtfulEnd = 0;
  let blocks = 0;
  for (let at = 0; at < file.length; ) {
    if (++blocks > MEMBERS_AT_ONCE) {
      yield some;
      some = [];
      blocks = 1;
    }
    const header = windows.at(at, BLOCK_BYTES) ?? (await windows.read(at, BLOCK_BYTES));
    // An archive that is cut off is not judged.
    if (header.length < BLOCK_BYTES) break;
    at += BLOCK_BYTES;
    // Two empty blocks end an archive, but some readers read on after one, and others are told to (`tar --ignore-zeros`).
    hasEnd ||= isZero(header);
    const sum = isZero(header) ? undefined : headerSum(header);
    if (sum === undefined) {
      if (hasEnd) continue;
      throw new BrokenContainer('A header is missing.');
    }
    const kind = String.fromCharCode(header[156] ?? 0);
    const headerSize = numberAt(header, 124, 12);
    if ('xXgLKN'.includes(kind)) {
      if (headerSize > MAX_EXTENSION_BYTES) throw new BrokenContainer('A name is too long.');
      const isSkipped = sum === 'signed' || isSkippedBySome(kind, headerNames(header), [textAt(header, 157, 257)]);
      if (isSkipped || at < doubtfulEnd) throw new AmbiguousContainer('Some readers skip an extension.');
      const content = await windows.read(at, headerSize);
      if (content.length < headerSize) break;
      extensions ??= new TarExtensions();
      extensions.add(kind, content);
      at += paddedSize(headerSize);
      continue;
    }
    const names = extensions?.names.size ? [...extensions.names] : headerNames(header);
    // Not all readers know the old form.
    if (extensions?.isOld) names.push(...headerNames(header));
    const targets = extensions?.targets.size ? [...extensions.targets] : [textAt(header, 157, 257)];
    const size = extensions?.size ?? headerSize;
    const isSkipped = sum === 'signed' || isSkippedBySome(kind, names, targets);
    if (isSkipped && extensions !== undefined) throw new AmbiguousContainer('A member that some readers skip has extensions.');
    extensions = undefined;
    some.push({ names, kind, targets });
    let contentEnd = at + paddedSize(size);
    if (kind === 'S' && header[482] === 1) {
      const start = at;
      // GNU's old sparse files: each map says whether another follows.
      for (let isMore = true; isMore; at += BLOCK_BYTES) isMore = (await windows.read(at, BLOCK_BYTES))[504] === 1;
      contentEnd += at - start;
      // Readers that do not know them take the end of the content for headers.
      if (size > 0) await refuseHeaders(windows, Math.max(at, contentEnd - (at - start)), contentEnd);
      await refuseHeaders(windows, start, at);
    }
    if (!Number.isSafeInteger(contentEnd)) throw new BrokenContainer('A size is invalid.');
    const isSpecial = '123456'.includes(kind);
    if (isSpecial && size > 0 && isHeader(await windows.read(at, BLOCK_BYTES))) {
      // Some programs write the size of a link's target, but not its content.
      doubtfulEnd = Math.max(doubtfulEnd, contentEnd);
      continue;
    }
    // Some readers take no content for a link or a folder; a folder is also what ends with a slash.
    const hasNone = isSpecial || names.some((name) => name.endsWith('/'));
    if (hasNone || isSkipped || at < doubtfulEnd) await refuseHeaders(windows, at, contentEnd);
    at = contentEnd;
  }
  yield some;
}

/**
 * Whether a reader skips only the header, then takes the content for members, and what stood before the header belongs to the next
 * (node-tar): without a name, a link without a target, anything else with one.
 */
function isSkippedBySome(kind: string, names: readonly string[], targets: readonly string[]): boolean {
  if (names.includes('')) return true;
  if ('12'.includes(kind)) return targets.includes('');
  return !'xg'.includes(kind) && targets.some((target) => target !== '');
}

function paddedSize(size: number): number {
  return Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Refuses content that some readers take for members. */
async function refuseHeaders(windows: Windows, start: number, end: number): Promise<void> {
  for (let at = start; at < end; at += BLOCK_BYTES) {
    const block = windows.at(at, BLOCK_BYTES) ?? (await windows.read(at, BLOCK_BYTES));
    if (block.length < BLOCK_BYTES) return;
    if (isHeader(block)) throw new AmbiguousContainer('The content of a member contains members.');
  }
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
