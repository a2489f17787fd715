/** Ranges of bytes, of an upload or of something inside it, through which containers are read. */
import type { Inspectable } from '../check.ts';

export type ByteRanges = Pick<Inspectable, 'length' | 'read' | 'signal'>;

/** A container is cut off, damaged or contradictory. */
export class BrokenContainer extends Error {
  override readonly name = 'BrokenContainer';
}

/** Readers of the container would see different contents, so that one of them would see what was not inspected. */
export class AmbiguousContainer extends BrokenContainer {}

/** Bytes [start, end), fewer at the end of the content. @throws the error of `read`, or the reason of the abort */
export async function readAt(file: ByteRanges, start: number, end: number): Promise<Buffer> {
  file.signal.throwIfAborted();
  if (!(start >= 0 && start < end && start < file.length)) return Buffer.alloc(0);
  const bytes = await file.read(start, Math.min(end, file.length));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** The consecutive 32-bit integers in [start, end), little-endian; fewer at the end of the bytes. */
export function* numbersIn(bytes: Buffer, start: number, end: number): Generator<number> {
  const last = Math.min(end, bytes.length) - 4;
  for (let at = start; at <= last; at += 4) yield bytes.readUInt32LE(at);
}

/** Ranges of bytes in memory. */
export function rangesOf(bytes: Buffer, signal: AbortSignal): ByteRanges {
  return { length: bytes.length, signal, read: async (start, end) => bytes.subarray(start, end) };
}

/** The part [start, start + length) of a file, with positions from its own start. */
export function rangesWithin(file: ByteRanges, start: number, length: number): ByteRanges {
  const end = Math.max(0, Math.min(length, file.length - start));
  return { length: end, signal: file.signal, read: (from, to) => readAt(file, start + from, start + Math.min(to, end)) };
}

const BLOCK_BYTES = 64 * 1024;
const MAX_BLOCKS = 32;

/** Caches the blocks read last: directories, tables and headers are close together and are read in small pieces. */
export function cachedRanges(file: ByteRanges): ByteRanges {
  const blocks = new Map<number, Buffer>();
  const block = async (index: number): Promise<Buffer> => {
    const known = blocks.get(index);
    if (known !== undefined) return known;
    const bytes = await readAt(file, index * BLOCK_BYTES, (index + 1) * BLOCK_BYTES);
    const [oldest] = blocks.keys();
    if (blocks.size >= MAX_BLOCKS && oldest !== undefined) blocks.delete(oldest);
    blocks.set(index, bytes);
    return bytes;
  };
  return {
    length: file.length,
    signal: file.signal,
    async read(start, end) {
      const first = Math.floor(start / BLOCK_BYTES);
      const last = Math.floor((end - 1) / BLOCK_BYTES);
      if (last - first > 1) return readAt(file, start, end);
      const parts = [await block(first)];
      if (last > first) parts.push(await block(last));
      const bytes = parts.length === 1 ? (parts[0] ?? Buffer.alloc(0)) : Buffer.concat(parts);
      return bytes.subarray(start - first * BLOCK_BYTES, end - first * BLOCK_BYTES);
    },
  };
}
