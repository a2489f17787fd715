// What can only end in a rejection is rejected after kilobytes instead of hours.
import type { Rejection } from '../../shared/errors.ts';
import { UploadError } from '../../shared/errors.ts';
import { moveToRejected, type RejectionOptions } from '../ledger/rejection.ts';
import type { Upload } from '../ledger/upload.ts';
import { endReceiving } from './end-receiving.ts';
import type { Checksum } from './running-checksum.ts';
import type { Staging } from './staging.ts';

export interface EarlyRejectionOptions extends RejectionOptions {
  staging: Staging;
  /** What the first bytes alone can refuse. */
  checkHead(head: Uint8Array, upload: Upload): Promise<Rejection | undefined>;
  /** Told of the verdict, once it is durable, when they do. Never rejects. */
  logVerdict(upload: Upload): void;
}

/**
 * Under the upload's lock.
 *
 * @param told as much as the sender may have been told is stored: the offset of a refused upload does not go back
 * @throws UploadError when the first bytes refuse the upload; it has moved to `rejected`
 */
export async function requireAllowedHead(options: EarlyRejectionOptions, upload: Upload, head: Uint8Array, told: Checksum): Promise<void> {
  const { staging, checkHead, logVerdict } = options;
  // A detection that fails is no verdict: the full inspection looks again.
  const rejection = await checkHead(head, upload).catch(() => undefined);
  if (rejection === undefined) return;
  const known = { checksum: told.checksum, checksumOffset: told.offset };
  await endReceiving(
    staging,
    () => moveToRejected(options, upload.id, { from: 'receiving' }, rejection, known),
    // Not awaited: whoever is told must not hold up the answer.
    (rejected) => logVerdict(rejected),
  );
  throw new UploadError(rejection.code, rejection.detail === undefined ? {} : { detail: rejection.detail });
}

/**
 * Under the upload's lock: what was acknowledged is gone, and the upload can only end.
 * @param told as much as the sender may have been told is stored
 * @throws UploadError ERR_FILE_DAMAGED; the upload has moved to `rejected`
 */
export async function endDamaged(options: EarlyRejectionOptions, upload: Upload, told: Checksum, cause: Error): Promise<void> {
  const { staging, logVerdict } = options;
  const known = { checksum: told.checksum, checksumOffset: told.offset };
  await endReceiving(
    staging,
    () => moveToRejected(options, upload.id, { from: 'receiving' }, { code: 'ERR_FILE_DAMAGED' }, known),
    (rejected) => void logVerdict(rejected),
  );
  throw new UploadError('ERR_FILE_DAMAGED', { cause });
}
