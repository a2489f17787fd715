// The only place where an upload moves to `rejected`, because of its first bytes or of its inspection.
import type { Rejection } from '../../shared/errors.ts';
import type { Guard } from './conditions.ts';
import type { Ledger } from './ledger.ts';
import type { UploadChanges, UploadIn } from './upload.ts';
import type { UploadId } from './upload-id.ts';

export interface RejectionOptions {
  ledger: Ledger;
  /** Hash of the policy that refuses the file. When the policy changes, the rejection no longer counts. */
  policyHash: string;
  keepRecordsForMs: number;
}

/**
 * Resolves to the rejected row, which is durable; to undefined when the guard does not match the row.
 * @param known other columns to write with the verdict
 */
export function moveToRejected(
  { ledger, policyHash, keepRecordsForMs }: RejectionOptions,
  id: UploadId,
  guard: Guard,
  { code, detail }: Rejection,
  known: UploadChanges = {},
): Promise<UploadIn<'rejected'> | undefined> {
  return ledger.move(id, guard, 'rejected', {
    ...known,
    errorCode: code,
    errorDetail: detail ?? null,
    policyHash,
    leaseOwner: null,
    expiresAt: ledger.now() + keepRecordsForMs,
  });
}
