// The CRC-32 of an upload, computed while its bytes are stored, so that the inspection need not read them for it.
import type { Upload } from '../ledger/upload.ts';
import { crc32 } from './crc32.ts';
import type { StagedReader } from './staging.ts';

/** Value of `checksumOffset` for bytes that were sent directly to S3, whose checksum the server does not know. */
export const NO_CHECKSUM = -1;

/** CRC-32 of the first `offset` bytes. */
export interface Checksum {
  checksum: number;
  offset: number;
}

export function advance(checksum: Checksum, batch: readonly Uint8Array[]): void {
  for (const chunk of batch) {
    checksum.checksum = crc32(chunk, checksum.checksum);
    checksum.offset += chunk.byteLength;
  }
}

/**
 * The checksum of all staged bytes. Bytes beyond the ledger's checkpoint (after a crash) are read again. A checkpoint beyond the staged
 * bytes (after a power cut) is ignored.
 * @throws the reader's error, or the signal's reason
 */
export async function completeChecksum(
  upload: Pick<Upload, 'checksum' | 'checksumOffset'>,
  reader: StagedReader,
  signal?: AbortSignal,
): Promise<Checksum> {
  const known = upload.checksumOffset >= 0 && upload.checksumOffset <= reader.size;
  const checksum = known ? { checksum: upload.checksum, offset: upload.checksumOffset } : { checksum: 0, offset: 0 };
  if (checksum.offset < reader.size) {
    for await (const chunk of reader.stream(checksum.offset)) {
      signal?.throwIfAborted();
      advance(checksum, [chunk]);
    }
  }
  return checksum;
}

/** The checksum's form in records. */
export function formatChecksum(checksum: number): string {
  return `crc32:${checksum.toString(16).padStart(8, '0')}`;
}
