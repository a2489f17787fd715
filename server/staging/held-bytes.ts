// Bytes that are stored already and come once more, since they were not acknowledged: compared, not appended.
import { UploadError } from '../../shared/errors.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { type BodyLimits, collectBody, type OpenBody } from './body-source.ts';
import { type ExpectedChecksum, requireChecksum } from './chunk-checksum.ts';
import { refusalOf } from './faults.ts';
import type { Staging } from './staging.ts';

/**
 * What a sender repeats because it was not acknowledged: at most the held byte. Kept in memory.
 *
 * @param expected what the request says of its body: another byte is no other file when it was damaged on its way
 * @throws UploadError when it is more, does not come, comes no further, or did not arrive as it was sent
 */
export async function readHeld(body: OpenBody, limits: BodyLimits, expected: ExpectedChecksum | undefined): Promise<Buffer> {
  const { bytes, end } = await collectBody(body, limits);
  if (end !== 'whole') throw refusalOf(end, limits.signal);
  if (expected) requireChecksum(expected, bytes);
  return bytes;
}

/** @throws UploadError ERR_SOURCE_CHANGED when what was sent is not what is stored from `offset` on */
export async function compareHeld(staging: Staging, id: UploadId, offset: number, sent: Buffer): Promise<void> {
  // Of an empty file nothing need be staged.
  if (sent.byteLength === 0) return;
  const reader = await staging.open(id);
  const stored = await reader.read(offset, offset + sent.byteLength).finally(() => reader.close());
  if (!stored.equals(sent)) throw new UploadError('ERR_SOURCE_CHANGED');
}
