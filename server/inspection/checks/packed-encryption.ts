/** Whether a RAR or 7-Zip archive needs a password, as far as its plain headers show. */
import { type ByteRanges, readAt } from './byte-ranges.ts';

const MAX_HEADERS = 64;
const HEADER_WINDOW_BYTES = 4096;

export async function isEncryptedRar(file: ByteRanges): Promise<boolean> {
  const signature = await readAt(file, 0, 8);
  return signature[6] === 1 ? isEncryptedRar5(file) : isEncryptedRar4(file);
}

/** Blocks of RAR 1.5 to 4: checksum, type, flags, size, and with flag 0x8000 the size of the data that follows. */
async function isEncryptedRar4(file: ByteRanges): Promise<boolean> {
  let position = 7;
  for (let count = 0; count < MAX_HEADERS; count++) {
    const block = await readAt(file, position, position + 11);
    if (block.length < 7) return false;
    const type = block[2];
    const flags = block.readUInt16LE(3);
    if ((type === 0x73 && (flags & 0x80) !== 0) || (type === 0x74 && (flags & 0x04) !== 0)) return true;
    const added = (type === 0x74 || (flags & 0x8000) !== 0) && block.length === 11 ? block.readUInt32LE(7) : 0;
    const size = block.readUInt16LE(5);
    if (size < 7) return false;
    position += size + added;
  }
  return false;
}

/** Headers of RAR 5: checksum, then variable-length numbers: size, type, flags, size of the extra area, size of the data. */
async function isEncryptedRar5(file: ByteRanges): Promise<boolean> {
  let position = 8;
  for (let count = 0; count < MAX_HEADERS; count++) {
    const bytes = await readAt(file, position, position + HEADER_WINDOW_BYTES);
    const reader = new NumberReader(bytes, 4);
    const size = reader.next();
    const end = reader.offset + size;
    const type = reader.next();
    const flags = reader.next();
    if (type === 4) return true;
    if (size === 0 || type === 5 || bytes.length < 8) return false;
    const extraSize = (flags & 1) === 0 ? 0 : reader.next();
    const dataSize = (flags & 2) === 0 ? 0 : reader.next();
    if (type === 2 && hasEncryptionRecord(bytes, end - extraSize, Math.min(end, bytes.length))) return true;
    position += end + dataSize;
  }
  return false;
}

function hasEncryptionRecord(bytes: Buffer, start: number, end: number): boolean {
  const reader = new NumberReader(bytes, start);
  while (reader.offset < end) {
    const size = reader.next();
    const after = reader.offset + size;
    if (reader.next() === 1) return true;
    if (size === 0) return false;
    reader.offset = after;
  }
  return false;
}

class NumberReader {
  offset: number;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer, offset: number) {
    this.#bytes = bytes;
    this.offset = offset;
  }

  /** Seven bits a byte, the lowest first. 0 beyond the end. */
  next(): number {
    let value = 0;
    for (let index = 0; index < 7; index++) {
      const byte = this.#bytes[this.offset++] ?? 0;
      value += (byte & 0x7f) * 2 ** (7 * index);
      if (byte < 0x80) break;
    }
    return value;
  }
}

const AES_METHOD = Buffer.from([0x06, 0xf1, 0x07, 0x01]);
const MAX_7Z_HEADER_BYTES = 1024 * 1024;

/**
 * 7-Zip compresses its headers; only headers that are plain, or encrypted themselves, show the AES method. An archive with encrypted
 * contents and compressed headers passes as not encrypted.
 */
export async function isEncrypted7z(file: ByteRanges): Promise<boolean> {
  const start = await readAt(file, 0, 32);
  if (start.length < 32) return false;
  const position = 32 + Number(start.readBigUInt64LE(12));
  const size = Math.min(Number(start.readBigUInt64LE(20)), MAX_7Z_HEADER_BYTES);
  return (await readAt(file, position, position + size)).includes(AES_METHOD);
}
