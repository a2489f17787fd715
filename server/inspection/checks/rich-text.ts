/** The OLE objects of an RTF document: hexadecimal digits after `\objdata`, anywhere in it. */
import { setImmediate } from 'node:timers/promises';
import type { Inspectable } from '../check.ts';
import type { Findings } from './contents.ts';
import { ObjectSearch } from './object-search.ts';

const MARK = Buffer.from('\\objdata', 'latin1');
/** How much of one object is kept: its directory and its names are near the beginning. */
const MAX_OBJECT_BYTES = 16 * 1024 * 1024;
const BYTES_BETWEEN_YIELDS = 1024 * 1024;
/** [MS-OLEDS] 2.2.4: an object that contains its own data, and is not a link. */
const EMBEDDED = 2;

export async function searchRichText(upload: Inspectable): Promise<Findings> {
  const search = new ObjectSearch(upload.length);
  const nothing = Buffer.alloc(0);
  let rest: Buffer = nothing;
  let object: ObjectData | undefined;
  let sinceYield = 0;
  for await (const chunk of upload.stream()) {
    upload.signal.throwIfAborted();
    let bytes: Buffer = rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([rest, chunk]);
    rest = nothing;
    while (bytes.length > 0) {
      if (object === undefined) {
        const at = bytes.indexOf(MARK);
        // The mark may continue in the next chunk.
        if (at === -1) rest = Buffer.from(bytes.subarray(Math.max(0, bytes.length - MARK.length + 1)));
        bytes = at === -1 ? nothing : bytes.subarray(at + MARK.length);
        if (at !== -1) object = new ObjectData();
        continue;
      }
      const used = object.push(bytes);
      bytes = bytes.subarray(used);
      if (!object.hasEnded) continue;
      await searchObject(search, object, upload.signal);
      object = undefined;
    }
    sinceYield += chunk.length;
    if (sinceYield < BYTES_BETWEEN_YIELDS) continue;
    sinceYield = 0;
    await setImmediate();
  }
  if (object !== undefined) await searchObject(search, object, upload.signal);
  return { isEncrypted: false, hasMacros: search.hasMacros, program: search.program };
}

/** [MS-OLEDS] 2.2.5: a version, the kind, the class, two more names, and the data, each after its length. */
async function searchObject(search: ObjectSearch, object: ObjectData, signal: AbortSignal): Promise<void> {
  const { bytes } = object;
  if (bytes.length < 8 || bytes.readUInt32LE(4) !== EMBEDDED) return;
  let at = 8;
  for (let field = 0; field < 3 && at + 4 <= bytes.length; field++) at += 4 + bytes.readUInt32LE(at);
  if (at + 4 > bytes.length) return;
  await search.searchNative(bytes.subarray(at + 4), signal, 0, object.isCut);
}

/** The digits of one object, up to the end of its group. Spaces, groups and control words may come between them; readers skip those. */
class ObjectData {
  hasEnded = false;
  /** The object has more bytes than are kept. */
  isCut = false;
  #bytes = Buffer.alloc(4096);
  #length = 0;
  #high = -1;
  #depth = 0;
  /** A control word, as far as it was read. */
  #word: string | undefined;
  /** After `\bin`: how many bytes are taken unchanged. */
  #raw = 0;

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Returns how many of these bytes belong to the object. */
  push(bytes: Buffer): number {
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index] ?? 0;
      if (this.#raw > 0) {
        this.#raw--;
        this.#add(byte);
      } else if (this.#word === undefined || this.#endsWord(byte)) {
        this.#take(byte);
        if (this.hasEnded) return index + 1;
      }
    }
    return bytes.length;
  }

  #take(byte: number): void {
    if (byte === 0x5c) this.#word = '';
    else if (byte === 0x7b) this.#depth++;
    else if (byte === 0x7d) this.hasEnded = --this.#depth < 0;
    else {
      const digit = hexDigit(byte);
      if (digit === -1) return;
      if (this.#high === -1) this.#high = digit;
      else {
        this.#add(this.#high * 16 + digit);
        this.#high = -1;
      }
    }
  }

  /** Whether the word ended before this byte, which is then read by itself; a space, or a single sign, belongs to the word. */
  #endsWord(byte: number): boolean {
    const word = this.#word ?? '';
    const sign = String.fromCharCode(byte);
    if (/[a-z]/i.test(sign) ? !/\d$/.test(word) : /[\d-]/.test(sign) && word !== '') {
      // No control word has so many letters: the rest is skipped with it.
      if (word.length < 40) this.#word = word + sign;
      return false;
    }
    this.#word = undefined;
    const [, count] = /^bin(\d+)$/.exec(word) ?? [];
    if (count !== undefined) this.#raw = Number(count);
    // A control symbol is one sign after the backslash.
    if (word === '' || sign === ' ') return false;
    if (this.#raw === 0) return true;
    this.#raw--;
    this.#add(byte);
    return false;
  }

  #add(byte: number): void {
    if (this.#length >= MAX_OBJECT_BYTES) {
      this.isCut = true;
      return;
    }
    if (this.#length === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(this.#bytes.length)]);
    this.#bytes[this.#length++] = byte;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1;
}
