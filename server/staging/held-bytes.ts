// Stored bytes that a sender repeats, because they were not acknowledged: they are compared, not appended.
import { UploadError } from '../../shared/errors.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { type BodyLimits, collectBody, type OpenBody } from './body-source.ts';
import { type ExpectedChecksum, requireChecksum } from './chunk-checksum.ts';
import { refusalOf } from './faults.ts';
import type { Staging } from './staging.ts';

/**
 * Reads the repeated bytes, usually only the held byte, into memory.
 *
 * @param expected the body's own checksum: a body that was damaged on its way must not be taken for another file
 * @throws UploadError when the body is too long, too slow or cut off, or does not match its checksum
 */
export async function readHeld(body: OpenBody, limits: BodyLimits, expected: ExpectedChecksum | undefined): Promise<Buffer> {
  const { bytes, end } = await collectBody(body, limits);
  if (end !== 'whole') throw refusalOf(end, limits.signal);
  if (expected) requireChecksum(expected, bytes);
  return bytes;
}

/** @throws UploadError ERR_SOURCE_CHANGED when the sent bytes differ from the stored bytes at `offset` */
export async function compareHeld(staging: Staging, id: UploadId, offset: number, sent: Buffer): Promise<void> {
  // An empty file may have nothing staged.
  if (sent.byteLength === 0) return;
  const reader = await staging.open(id);
  const stored = await reader.read(offset, offset + sent.byteLength).finally(() => reader.close());
  if (!stored.equals(sent)) throw new UploadError('ERR_SOURCE_CHANGED');
}
