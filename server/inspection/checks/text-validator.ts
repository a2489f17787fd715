import { isUtf8 } from 'node:buffer';

export type TextFault = { reason: 'control'; byte: number; position: number } | { reason: 'encoding' };

/** Bytes that do not occur in text: controls, except BEL to CR and ESC, which logs and terminal output contain. */
const BINARY = Uint8Array.from({ length: 256 }, (_, byte) => (byte < 0x20 && !(byte >= 0x07 && byte <= 0x0d) && byte !== 0x1b ? 1 : 0));
/** Control-Z, which old programs write after the last line. */
const DOS_END = 0x1a;
const NOTHING = new Uint8Array(0);

/**
 * Whether a stream of bytes is text: UTF-8, or UTF-16 with a byte order mark, without binary controls; or, if that is allowed, any
 * encoding with ASCII's controls and without binary ones. Constant memory. Each call returns the first fault; make no call after it.
 */
export class TextValidator {
  readonly #legacy: boolean;
  #encoding: 'unknown' | 'utf-8' | 'utf-16le' | 'utf-16be' = 'unknown';
  #rest: Uint8Array = NOTHING;
  #awaitsLowSurrogate = false;
  #position = 0;

  constructor(options: { readonly allowLegacyText: boolean }) {
    this.#legacy = options.allowLegacyText;
  }

  push(chunk: Uint8Array): TextFault | undefined {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    this.#rest = NOTHING;
    if (this.#encoding === 'unknown') {
      if (bytes.length < 2) {
        this.#rest = Uint8Array.from(bytes);
        return undefined;
      }
      this.#encoding = encodingByMark(bytes);
    }
    return this.#encoding === 'utf-8' ? this.#pushUtf8(bytes) : this.#pushUtf16(bytes, this.#encoding === 'utf-16le');
  }

  end(): TextFault | undefined {
    if (this.#encoding === 'unknown') {
      this.#encoding = 'utf-8';
      const fault = this.#pushUtf8(this.#rest);
      if (fault !== undefined) return fault;
    }
    const isCut = this.#encoding === 'utf-8' ? this.#rest.length > 0 && !this.#legacy : this.#rest.length > 0 || this.#awaitsLowSurrogate;
    return isCut ? { reason: 'encoding' } : undefined;
  }

  #pushUtf8(bytes: Uint8Array): TextFault | undefined {
    const at = findBinary(bytes);
    if (this.#legacy && at !== -1 && at === bytes.length - 1 && bytes[at] === DOS_END) {
      // It becomes a fault when another byte follows.
      this.#keep(bytes, at);
      return undefined;
    }
    if (at !== -1) return { reason: 'control', byte: bytes[at] ?? 0, position: this.#position + at };
    const whole = bytes.length - (this.#legacy ? 0 : unfinishedTail(bytes));
    if (!this.#legacy && !isUtf8(bytes.subarray(0, whole))) return { reason: 'encoding' };
    this.#keep(bytes, whole);
    return undefined;
  }

  #pushUtf16(bytes: Uint8Array, littleEndian: boolean): TextFault | undefined {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const whole = bytes.length - (bytes.length % 2);
    for (let index = 0; index < whole; index += 2) {
      const unit = view.getUint16(index, littleEndian);
      if (unit < 0x80 && BINARY[unit] === 1) return { reason: 'control', byte: unit, position: this.#position + index };
      const isLow = unit >= 0xdc00 && unit <= 0xdfff;
      if (isLow !== this.#awaitsLowSurrogate) return { reason: 'encoding' };
      this.#awaitsLowSurrogate = unit >= 0xd800 && unit <= 0xdbff;
    }
    this.#keep(bytes, whole);
    return undefined;
  }

  #keep(bytes: Uint8Array, whole: number): void {
    this.#rest = Uint8Array.from(bytes.subarray(whole));
    this.#position += whole;
  }
}

/** The position of the first binary control, or -1. Reads four bytes at a time: a word without a byte below 0x20 has none. */
function findBinary(bytes: Uint8Array): number {
  const unaligned = (4 - (bytes.byteOffset % 4)) % 4;
  if (bytes.length < unaligned + 4) return findBinaryBetween(bytes, 0, bytes.length);
  const early = findBinaryBetween(bytes, 0, unaligned);
  if (early !== -1) return early;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset + unaligned, (bytes.length - unaligned) >> 2);
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? 0;
    if (((word - 0x20202020) & ~word & 0x80808080) === 0) continue;
    const start = unaligned + index * 4;
    const at = findBinaryBetween(bytes, start, start + 4);
    if (at !== -1) return at;
  }
  return findBinaryBetween(bytes, unaligned + words.length * 4, bytes.length);
}

function findBinaryBetween(bytes: Uint8Array, start: number, end: number): number {
  for (let index = start; index < end; index++) if (BINARY[bytes[index] ?? 0] === 1) return index;
  return -1;
}

function encodingByMark(bytes: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return 'utf-16be';
  return 'utf-8';
}

/** How many of the last bytes begin a UTF-8 sequence that continues in the next chunk: 0 to 3. */
function unfinishedTail(bytes: Uint8Array): number {
  for (let back = 1; back <= 3 && back <= bytes.length; back++) {
    const byte = bytes[bytes.length - back] ?? 0;
    if (byte >= 0xc0) return (byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2) > back ? back : 0;
    if (byte < 0x80) return 0;
  }
  return 0;
}
