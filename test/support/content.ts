// Content of any size that is the same each time, without a file to read it from.
import { createCipheriv, createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { crc32 } from 'node:zlib';

const PIECE = 1024 * 1024;

/** The head of an MP4 file, so that the following bytes pass for a video: no server accepts noise alone. */
const VIDEO_HEAD = Buffer.concat([
  Buffer.from([0, 0, 0, 24]),
  Buffer.from('ftypisom\0\0\x02\0isommp42', 'latin1'),
  Buffer.from([0, 0, 0, 1]),
  Buffer.from('mdat\xff\xff\xff\xff\xff\xff\xff\xff', 'latin1'),
]);

/** A file of this many bytes (at least 40) that reads as a video; another seed gives other bytes. In constant memory. */
export async function* videoPieces(length: number, seed = 1): AsyncGenerator<Buffer<ArrayBuffer>> {
  const key = createHash('md5').update(String(seed)).digest();
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(PIECE);
  for (let offset = 0; offset < length; offset += PIECE) {
    const piece = Buffer.from(cipher.update(zeros.subarray(0, Math.min(PIECE, length - offset))));
    if (offset === 0) VIDEO_HEAD.copy(piece);
    yield piece;
  }
}

export function videoBytes(length: number, seed = 1): Promise<Buffer<ArrayBuffer>> {
  return gathered(videoPieces(length, seed));
}

/** Everything that a source yields, in one buffer. */
export async function gathered(source: AsyncIterable<Uint8Array>): Promise<Buffer<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  for await (const piece of source) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Writes it to a path and resolves to its SHA-256, in hex. */
export async function writeVideo(path: string, length: number, seed = 1): Promise<string> {
  const hash = createHash('sha256');
  async function* hashed() {
    for await (const piece of videoPieces(length, seed)) {
      hash.update(piece);
      yield piece;
    }
  }
  await pipeline(Readable.from(hashed()), createWriteStream(path));
  return hash.digest('hex');
}

/** The CRC-32 as an upload's record shows it. */
export function crc32Of(bytes: Uint8Array): string {
  return `crc32:${crc32(bytes).toString(16).padStart(8, '0')}`;
}

/** The SHA-256 in hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The SHA-256 in hex, computed in constant memory. */
export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return hash.digest('hex');
}

/** Every file below a directory, relative to it, sorted; empty without the directory. */
export async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
