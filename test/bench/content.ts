// The uploaded content: first bytes of a type that the default policy accepts, then noise that can not be compressed.
import { randomBytes } from 'node:crypto';

export interface Content {
  readonly name: string;
  readonly type: string;
  /** The first bytes; noise follows. */
  readonly head: Buffer;
}

const BLOCK_BYTES = 1024 * 1024;
const NOISE = randomBytes(BLOCK_BYTES);

/** ISO 14496-12: `ftyp` of 24 bytes, major brand isom, minor version 512, compatible with isom and mp42; `mdat` to the end of the file. */
export const FILM: Content = {
  name: 'film.mp4',
  type: 'video/mp4',
  head: Buffer.from('\0\0\0\x18ftypisom\0\0\x02\0isommp42\0\0\0\0mdat', 'latin1'),
};

/** JFIF 1.02: SOI and an APP0 segment. */
export const PICTURE: Content = {
  name: 'picture.jpg',
  type: 'image/jpeg',
  head: Buffer.from('\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x02\0\0\x48\0\x48\0\0', 'latin1'),
};

const FIRST = new Map([FILM, PICTURE].map((content) => [content, Buffer.concat([content.head, NOISE.subarray(content.head.byteLength)])]));

/** Bytes [from, to) of the file, from one buffer that is sent repeatedly. */
export function* pieces(content: Content, from: number, to: number): Generator<Buffer> {
  for (let position = from; position < to; ) {
    const start = position % BLOCK_BYTES;
    const end = Math.min(BLOCK_BYTES, start + to - position);
    const block = position < BLOCK_BYTES ? FIRST.get(content) : undefined;
    yield (block ?? NOISE).subarray(start, end);
    position += end - start;
  }
}
