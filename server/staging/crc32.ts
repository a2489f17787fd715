// CRC-32 by `@node-rs/crc32`, which is 2.5 times as fast as zlib's; by zlib where that package could not be installed.
import { createRequire } from 'node:module';
import { crc32 as zlibCrc32 } from 'node:zlib';

type Crc32 = (bytes: Uint8Array, checksum?: number) => number;

/** CRC-32 of `bytes`, or of the bytes with the given `checksum` followed by `bytes`. */
export const crc32: Crc32 = nativeCrc32() ?? zlibCrc32;

/** The package is optional: it has a compiled file for each common platform, and none for the others. */
function nativeCrc32(): Crc32 | undefined {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as { crc32: Crc32 }).crc32;
  } catch {
    return undefined;
  }
}
