// The CRC-32 of a file, computed while the file is read, and available at every offset from which an upload may resume.
import { UploadError } from '../../shared/errors.ts';

/** Continues a CRC-32 with more bytes. The CRC-32 of zero bytes is 0. */
export type Crc32 = (bytes: Uint8Array, previous: number) => number;

export interface Checkpoint {
  readonly offset: number;
  readonly crc32: number;
}

/** Bytes between two checkpoints: after a broken connection at most this many bytes are read again. */
const SPACING_BYTES = 64 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;

const POLYNOMIAL = 0xedb88320;

// Every index is in range, but TypeScript types the element as `number | undefined`.
const byte = (bytes: Uint8Array, at: number) => bytes[at] as number;
const word = (table: Uint32Array, at: number) => table[at] as number;

const TABLES = makeTables();

/** For platforms without a CRC-32 of their own. Four bytes a step, which is as fast as a disk. */
export function crc32(bytes: Uint8Array, previous: number): number {
  const [t0, t1, t2, t3] = TABLES;
  const end = bytes.length & ~3;
  let crc = ~previous;
  let at = 0;
  for (; at < end; at += 4) {
    crc ^= byte(bytes, at) | (byte(bytes, at + 1) << 8) | (byte(bytes, at + 2) << 16) | (byte(bytes, at + 3) << 24);
    crc = word(t3, crc & 255) ^ word(t2, (crc >>> 8) & 255) ^ word(t1, (crc >>> 16) & 255) ^ word(t0, crc >>> 24);
  }
  for (; at < bytes.length; at++) crc = (crc >>> 8) ^ word(t0, (crc ^ byte(bytes, at)) & 255);
  return ~crc >>> 0;
}

function makeTables(): readonly [Uint32Array, Uint32Array, Uint32Array, Uint32Array] {
  const tables = [new Uint32Array(256), new Uint32Array(256), new Uint32Array(256), new Uint32Array(256)] as const;
  for (let n = 0; n < 256; n++) {
    let c = n;
    for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ POLYNOMIAL : c >>> 1;
    tables[0][n] = c;
  }
  for (let n = 0; n < 256; n++) {
    for (const [index, table] of tables.slice(1).entries()) {
      const before = word(tables[index] as Uint32Array, n);
      table[n] = (before >>> 8) ^ word(tables[0], before & 255);
    }
  }
  return tables;
}

/** The CRC-32 of two consecutive pieces, from the CRC-32 of each: every byte after the first piece multiplies its CRC by x^8. */
export function combineCrc32(first: number, second: number, secondBytes: number): number {
  let shifted = first;
  let power = X8;
  for (let left = secondBytes; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) shifted = multiply(shifted, power);
    power = multiply(power, power);
  }
  return (shifted ^ second) >>> 0;
}

/** x^8 in the bit order of CRC-32, where the highest bit is x^0. */
const X8 = 0x00800000;

/** Product of two polynomials over GF(2), modulo the polynomial of CRC-32. */
function multiply(a: number, b: number): number {
  let product = 0;
  for (let bit = 31, term = b; bit >= 0; bit--) {
    if ((a >>> bit) & 1) product ^= term;
    term = term & 1 ? (term >>> 1) ^ POLYNOMIAL : term >>> 1;
  }
  return product >>> 0;
}

/** Value of `Upload-Checksum` and `Landfall-Checksum`: the 4 bytes of the CRC-32, most significant first, in base64. */
export function checksumHeader(crc: number): string {
  return `crc32 ${btoa(String.fromCharCode(crc >>> 24, (crc >>> 16) & 255, (crc >>> 8) & 255, crc & 255))}`;
}

/** The form in upload records: `crc32:` and 8 hex digits. */
export function formatChecksum(crc: number): string {
  return `crc32:${(crc >>> 0).toString(16).padStart(8, '0')}`;
}

/** The checksum of the file up to the offset read so far, with checkpoints to return to after a broken connection. */
export class RunningChecksum {
  readonly #crc32: Crc32;
  /** In ascending order of offset. */
  readonly #checkpoints: Checkpoint[] = [{ offset: 0, crc32: 0 }];
  #current: Checkpoint = { offset: 0, crc32: 0 };
  #confirmed: Checkpoint = { offset: 0, crc32: 0 };

  constructor(crc: Crc32, known?: Checkpoint) {
    this.#crc32 = crc;
    if (known !== undefined && known.offset > 0) {
      this.#checkpoints.push(known);
      this.#current = known;
    }
  }

  /** The CRC-32 of the first `offset` bytes; undefined unless the file has been read exactly that far. */
  at(offset: number): number | undefined {
    return this.#current.offset === offset ? this.#current.crc32 : undefined;
  }

  /** Adds bytes that were read for sending. Ignores bytes that do not follow the current offset; `seek` reads them later. */
  add(offset: number, bytes: Uint8Array): void {
    if (offset === this.#current.offset) this.#advance(bytes.length, this.#crc32(bytes, this.#current.crc32));
  }

  /** As `add`, for bytes whose own CRC-32 is known. */
  addKnown(offset: number, length: number, crc32: number): void {
    if (offset === this.#current.offset) this.#advance(length, combineCrc32(this.#current.crc32, crc32, length));
  }

  /** The server confirmed every byte read so far, so the checksum never has to return to an earlier offset. */
  markConfirmed(): void {
    this.#confirmed = this.#current;
  }

  /** Moves to `offset` and reads the missing bytes. @throws ERR_SOURCE_CHANGED when the file ends early, or what `read` throws */
  async seek(offset: number, read: (start: number, end: number) => Promise<Uint8Array>): Promise<void> {
    if (this.#current.offset > offset) {
      this.#current = this.checkpointBefore(offset);
      while ((this.#checkpoints.at(-1)?.offset ?? 0) > offset) this.#checkpoints.pop();
    }
    while (this.#current.offset < offset) {
      const { offset: start } = this.#current;
      const bytes = await read(start, Math.min(start + PIECE_BYTES, offset));
      if (bytes.length === 0) throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'It became shorter.' });
      this.add(start, bytes);
    }
  }

  /** The latest checkpoint at or below an offset. */
  checkpointBefore(offset: number): Checkpoint {
    const checkpoint = this.#checkpoints.findLast((candidate) => candidate.offset <= offset) ?? { offset: 0, crc32: 0 };
    return [this.#confirmed, this.#current].reduce(
      (best, candidate) => (candidate.offset <= offset && candidate.offset > best.offset ? candidate : best),
      checkpoint,
    );
  }

  #advance(length: number, crc32: number): void {
    this.#current = { offset: this.#current.offset + length, crc32 };
    const last = this.#checkpoints.at(-1);
    if (last === undefined || this.#current.offset - last.offset >= SPACING_BYTES) this.#checkpoints.push(this.#current);
  }
}
