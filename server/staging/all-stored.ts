import type { Upload } from '../ledger/upload.ts';
import type { Staging } from './staging.ts';

/**
 * Whether every byte of an upload is here, so that its inspection can begin though nobody says that it is whole. Of a store that is not
 * Landfall's own only the ledger tells: what is beyond its running checksum could not be held against anything.
 */
export async function isAllStored(
  staging: Staging,
  { id, length, checksumOffset }: Pick<Upload, 'id' | 'length' | 'checksumOffset'>,
): Promise<boolean> {
  if (staging.isReadBack) return checksumOffset === length;
  return (await staging.size(id)) === length;
}
