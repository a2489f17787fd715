// What is uploaded: an MP4 by its first bytes, which the default policy takes, and noise that nothing can compress.
import { randomBytes } from 'node:crypto';

export const FILE_NAME = 'film.mp4';

const BLOCK_BYTES = 1024 * 1024;
/** ISO 14496-12, `ftyp`: 24 bytes, major brand isom, minor version 512, compatible with isom and mp42; then `mdat` to the end of the file. */
const HEAD = Buffer.concat([
  Buffer.from([0, 0, 0, 24]),
  Buffer.from('ftypisom'),
  Buffer.from([0, 0, 2, 0]),
  Buffer.from('isommp42'),
  Buffer.from([0, 0, 0, 0]),
  Buffer.from('mdat'),
]);
const NOISE = randomBytes(BLOCK_BYTES);
const FIRST = Buffer.concat([HEAD, NOISE.subarray(HEAD.byteLength)]);

/** Bytes [from, to) of the file, one buffer made once and sent again and again. */
export function* pieces(from: number, to: number): Generator<Buffer> {
  for (let position = from; position < to; ) {
    const start = position % BLOCK_BYTES;
    const end = Math.min(BLOCK_BYTES, start + to - position);
    yield (position < BLOCK_BYTES ? FIRST : NOISE).subarray(start, end);
    position += end - start;
  }
}
