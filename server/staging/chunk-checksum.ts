// tus 1.0.0, Checksum: a chunk that does not match its checksum is discarded.
import { createHash, timingSafeEqual } from 'node:crypto';
import { UploadError } from '../../shared/errors.ts';
import type { ChecksumAlgorithm } from '../../shared/protocol.ts';
import { crc32 } from './crc32.ts';

/** The checksum that a request declares for its body. */
export interface ExpectedChecksum {
  algorithm: ChecksumAlgorithm;
  /** Digest of the whole body. Call after the body's end, since a trailer may bring it. @throws UploadError 400 */
  digest(): Buffer;
}

export interface RunningDigest {
  update(chunk: Uint8Array): unknown;
  digest(): Buffer;
}

export function startDigest(algorithm: ChecksumAlgorithm): RunningDigest {
  if (algorithm !== 'crc32') return createHash(algorithm);
  let checksum = 0;
  return {
    update(chunk) {
      checksum = crc32(chunk, checksum);
    },
    digest() {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32BE(checksum);
      return bytes;
    },
  };
}

/** Verifies a body in memory. @throws UploadError 460, 400 */
export function requireChecksum(expected: ExpectedChecksum, body: Uint8Array): void {
  const digest = startDigest(expected.algorithm);
  digest.update(body);
  requireDigest(expected, digest);
}

/** @throws UploadError 460, 400 */
export function requireDigest(expected: ExpectedChecksum, running: RunningDigest): void {
  const wanted = expected.digest();
  const actual = running.digest();
  if (wanted.byteLength !== actual.byteLength || !timingSafeEqual(wanted, actual)) throw new UploadError('ERR_CHECKSUM_MISMATCH');
}
