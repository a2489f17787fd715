import { describe, expect, test } from 'vitest';
import { ChunkSize, SMALLEST_CHUNK_BYTES } from '../../client/transfer/chunk-size.ts';

const MIB = 1024 * 1024;
const BROWSER = { startBytes: 8 * MIB, minBytes: MIB, maxBytes: 32 * MIB, wholeBody: false };
const NODE = { ...BROWSER, wholeBody: true };

describe('the chunk size in a browser', () => {
  test('starts at 8 MiB, and doubles up to 32 MiB while a chunk takes under 4 s', () => {
    const size = new ChunkSize(BROWSER);
    expect(size.bytes).toBe(8 * MIB);
    const sizes = [1, 2, 3].map(() => {
      size.succeeded(size.bytes, 3999);
      return size.bytes / MIB;
    });
    expect(sizes).toEqual([16, 32, 32]);
  });

  test('stays while a chunk takes 4 to 20 s, and halves down to 1 MiB over 20 s', () => {
    const size = new ChunkSize(BROWSER);
    size.succeeded(size.bytes, 4000);
    size.succeeded(size.bytes, 20_000);
    expect(size.bytes).toBe(8 * MIB);
    for (let times = 0; times < 6; times++) size.succeeded(size.bytes, 20_001);
    expect(size.bytes).toBe(MIB);
  });

  test('halves after a failure', () => {
    const size = new ChunkSize(BROWSER);
    size.failed();
    expect(size.bytes).toBe(4 * MIB);
  });

  test('returns at once after a failure to a size that got through before', () => {
    const size = new ChunkSize(BROWSER);
    for (let times = 0; times < 3; times++) size.succeeded(size.bytes, 10);
    size.failed();
    expect(size.bytes).toBe(16 * MIB);
    size.succeeded(size.bytes, 10);
    expect(size.bytes).toBe(32 * MIB);
  });

  test('rises less and less often to a size that never got through', () => {
    const size = new ChunkSize(BROWSER);
    let failures = 0;
    for (let sent = 0; sent < 2000 * MIB; ) {
      if (size.bytes > MIB) {
        size.failed();
        failures++;
      } else {
        sent += size.bytes;
        size.succeeded(size.bytes, 10);
      }
    }
    expect(size.bytes).toBe(MIB);
    expect(failures).toBeLessThan(16);
  });

  test('does not change after a shorter last chunk', () => {
    const size = new ChunkSize(BROWSER);
    size.succeeded(1000, 1);
    expect(size.bytes).toBe(8 * MIB);
  });

  test('never again exceeds the limit that a 413 revealed', () => {
    const size = new ChunkSize(BROWSER);
    expect(size.lowerCeiling(8 * MIB)).toBe(true);
    expect(size.bytes).toBe(4 * MIB);
    size.succeeded(size.bytes, 10);
    size.succeeded(size.bytes, 10);
    expect(size.bytes).toBe(4 * MIB);
  });

  test('is given up when a proxy refuses even tiny bodies', () => {
    const size = new ChunkSize(BROWSER);
    const tried: number[] = [];
    while (size.lowerCeiling(size.bytes)) tried.push(size.bytes);
    expect(tried.at(-1)).toBe(SMALLEST_CHUNK_BYTES);
  });
});

test('the client sends a few bytes of a large file first, unless the file goes in one body or the application chose the size', () => {
  const size = new ChunkSize(BROWSER);
  expect([size.firstChunkBytes(null), size.firstChunkBytes(1e12), size.firstChunkBytes(MIB + 1)]).toEqual([
    SMALLEST_CHUNK_BYTES,
    SMALLEST_CHUNK_BYTES,
    SMALLEST_CHUNK_BYTES,
  ]);
  expect(size.firstChunkBytes(MIB)).toBe(size.bytes);
  expect(new ChunkSize(BROWSER, 5 * MIB).firstChunkBytes(1e12)).toBe(5 * MIB);
  const whole = new ChunkSize(NODE);
  expect(whole.firstChunkBytes(1e12)).toBe(Number.POSITIVE_INFINITY);
  whole.lowerCeiling(1e12);
  expect(whole.firstChunkBytes(1e12)).toBe(SMALLEST_CHUNK_BYTES);
});

describe('the chunk size in Node', () => {
  test('is all remaining bytes, in one body', () => {
    const size = new ChunkSize(NODE);
    expect(size.bytes).toBe(Number.POSITIVE_INFINITY);
    size.failed();
    size.succeeded(1e12, 1e9);
    expect(size.bytes).toBe(Number.POSITIVE_INFINITY);
  });

  test('falls to a chunk at once when a proxy limits bodies', () => {
    const size = new ChunkSize(NODE);
    size.lowerCeiling(1e12);
    expect(size.bytes).toBe(32 * MIB);
  });
});

test('chunks carry checksums until the connection breaks or is slow, and again after 64 MiB without trouble', () => {
  const size = new ChunkSize(BROWSER, 32 * MIB);
  expect(size.usesChecksum).toBe(true);
  size.failed();
  expect(size.usesChecksum).toBe(false);
  size.succeeded(32 * MIB, 1);
  expect(size.usesChecksum).toBe(false);
  size.succeeded(32 * MIB, 1);
  expect(size.usesChecksum).toBe(true);
  size.succeeded(32 * MIB, 20_001);
  expect(size.usesChecksum).toBe(false);
  // The server keeps nothing of a broken body that has a checksum: a whole file in one body would lose everything.
  expect(new ChunkSize(NODE).usesChecksum).toBe(false);
});

test('a fixed chunk size changes only after a 413', () => {
  const size = new ChunkSize(BROWSER, 5 * MIB);
  size.failed();
  size.succeeded(5 * MIB, 1);
  expect(size.bytes).toBe(5 * MIB);
  size.lowerCeiling(5 * MIB);
  expect(size.bytes).toBe(2.5 * MIB);
});
