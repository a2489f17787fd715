// Tests clamd's own settings, which clamd does not reveal: by default it answers OK for files that are larger than it scans. So this code
// sends it compressed zeros and checks its answers.
import { promisify } from 'node:util';
import { constants, crc32, deflateRawSync, gzip } from 'node:zlib';
import { formatBytes } from '../../../shared/units.ts';
import type { ExternalRequest } from '../external-request.ts';
import { type ClamdAddress, scannerAway, scanStream } from './clamd.ts';

const MIB = 1024 * 1024;
/** More than any setting allows clamd to scan, because it counts in 32 bits. */
const TOO_MANY_MIB = 4100;
const GZIP_HEAD = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]);
const LAST_BLOCK = Buffer.from([3, 0]);

/**
 * @param maxBytes the largest file that it must scan
 * @throws UploadError ERR_SCAN_UNAVAILABLE whose cause says what to change in clamd.conf, or that clamd does not answer
 */
export async function requireLimits(address: ClamdAddress, maxBytes: number, request: ExternalRequest): Promise<void> {
  const most = await scanStream(address, packedZeros(maxBytes), request);
  if (most.outcome !== 'clean') {
    throw misconfigured(
      `clamd does not scan ${formatBytes(maxBytes)} (${most.detail}). Raise MaxFileSize, MaxScanSize and StreamMaxLength in clamd.conf, or lower LANDFALL_CLAMD_MAX_SIZE.`,
    );
  }
  const tooMuch = await scanStream(address, tooManyZeros(), request);
  if (tooMuch.outcome !== 'unscannable') {
    throw misconfigured('clamd answers OK for content that is larger than it scans. Set “AlertExceedsMax yes” in clamd.conf.');
  }
}

function misconfigured(sentence: string) {
  return scannerAway(new Error(sentence));
}

/** A gzip file of `size` zeros. */
async function* packedZeros(size: number): AsyncGenerator<Buffer, void, void> {
  const zeros = Buffer.alloc(MIB);
  const block = packed(zeros);
  const rest = zeros.subarray(0, size % MIB);
  let checksum = 0;
  yield GZIP_HEAD;
  for (let left = size; left >= MIB; left -= MIB) {
    checksum = crc32(zeros, checksum);
    yield block;
  }
  yield packed(rest);
  yield LAST_BLOCK;
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(rest, checksum), 0);
  trailer.writeUInt32LE(size % 2 ** 32, 4);
  yield trailer;
}

/** A gzip file in a gzip file, whose zeros are more than clamd ever unpacks. Packed once, the zeros would exceed small size limits. */
async function* tooManyZeros(): AsyncGenerator<Buffer, void, void> {
  const block = packed(Buffer.alloc(MIB));
  const once = [GZIP_HEAD, ...Array.from({ length: TOO_MANY_MIB }, () => block)];
  yield await promisify(gzip)(Buffer.concat(once));
}

/** Packs into blocks that end with a whole byte and do not refer to earlier ones, so that they can be repeated. */
function packed(bytes: Buffer): Buffer {
  return deflateRawSync(bytes, { level: 9, finishFlush: constants.Z_FULL_FLUSH });
}
