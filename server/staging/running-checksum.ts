// CRC-32 of an upload, carried along with the bytes, so that the finish need not read them again.
import type { Upload } from '../ledger/upload.ts';
import { crc32 } from './crc32.ts';
import type { StagedReader } from './staging.ts';

/** As `checksumOffset`: the bytes came past this server, and nobody here has seen them. */
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
 * The checksum of everything staged. What the ledger's checkpoint does not cover (a crash came before the next one) is
 * read again; a checkpoint beyond the staged bytes (a power cut took them) counts for nothing.
 * @throws what the reader does, or the signal's reason
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

/** As the record shows it. */
export function formatChecksum(checksum: number): string {
  return `crc32:${checksum.toString(16).padStart(8, '0')}`;
}
