// Rejects an upload as soon as its first bytes show that it can only be rejected.
import type { Rejection } from '../../shared/errors.ts';
import { UploadError } from '../../shared/errors.ts';
import { moveToRejected, type RejectionOptions } from '../ledger/rejection.ts';
import type { Upload } from '../ledger/upload.ts';
import { endReceiving } from './end-receiving.ts';
import type { Checksum } from './running-checksum.ts';
import type { Staging } from './staging.ts';

export interface EarlyRejectionOptions extends RejectionOptions {
  staging: Staging;
  /** Resolves to a rejection if the first bytes alone are enough for one. */
  checkHead(head: Uint8Array, upload: Upload): Promise<Rejection | undefined>;
  /** Called with the rejected upload once the verdict is durable. */
  logVerdict(upload: Upload): void;
}

/**
 * Call under the upload's lock.
 *
 * @param acknowledged CRC-32 of the bytes that may have been acknowledged: the offset of a refused upload must not go back
 * @throws UploadError when the first bytes are refused; the upload has moved to `rejected`
 */
export async function requireAllowedHead(
  options: EarlyRejectionOptions,
  upload: Upload,
  head: Uint8Array,
  acknowledged: Checksum,
): Promise<void> {
  const { staging, checkHead, logVerdict } = options;
  // A failed check is no verdict: the full inspection checks again.
  const rejection = await checkHead(head, upload).catch(() => undefined);
  if (rejection === undefined) return;
  const known = { checksum: acknowledged.checksum, checksumOffset: acknowledged.offset };
  await endReceiving(
    staging,
    () => moveToRejected(options, upload.id, { from: 'receiving' }, rejection, known),
    (rejected) => logVerdict(rejected),
  );
  throw new UploadError(rejection.code, rejection.detail === undefined ? {} : { detail: rejection.detail });
}

/**
 * Ends an upload whose acknowledged bytes are lost. Call under its lock.
 * @param acknowledged CRC-32 of the bytes that may have been acknowledged
 * @throws UploadError ERR_FILE_DAMAGED always; the upload has moved to `rejected`
 */
export async function rejectDamaged(options: EarlyRejectionOptions, upload: Upload, acknowledged: Checksum, cause: Error): Promise<void> {
  const { staging, logVerdict } = options;
  const known = { checksum: acknowledged.checksum, checksumOffset: acknowledged.offset };
  await endReceiving(
    staging,
    () => moveToRejected(options, upload.id, { from: 'receiving' }, { code: 'ERR_FILE_DAMAGED' }, known),
    (rejected) => logVerdict(rejected),
  );
  throw new UploadError('ERR_FILE_DAMAGED', { cause });
}
