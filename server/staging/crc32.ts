// CRC-32 by the package that is built for it where it could be installed, 2.5 times as fast as zlib's; else by zlib.
import { createRequire } from 'node:module';
import { crc32 as zlibCrc32 } from 'node:zlib';

type Crc32 = (bytes: Uint8Array, checksum?: number) => number;

/** Of `bytes`, or of what `checksum` is of and `bytes` behind it. */
export const crc32: Crc32 = nativeCrc32() ?? zlibCrc32;

/** Optional, since it brings a compiled file for each platform: one that has none is served all the same. */
function nativeCrc32(): Crc32 | undefined {
  try {
    return (createRequire(import.meta.url)('@node-rs/crc32') as { crc32: Crc32 }).crc32;
  } catch {
    return undefined;
  }
}
