import type { Upload } from '../ledger/upload.ts';
import type { Staging } from './staging.ts';

/**
 * Resolves to true when all bytes of an upload are stored, so that its inspection can start without a request of its sender. For a store
 * that is not Landfall's own only the ledger counts: bytes beyond its running checksum could not be verified.
 */
export async function isAllStored(
  staging: Staging,
  { id, length, checksumOffset }: Pick<Upload, 'id' | 'length' | 'checksumOffset'>,
): Promise<boolean> {
  if (staging.isReadBack) return checksumOffset === length;
  return (await staging.size(id)) === length;
}
