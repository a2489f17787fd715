// The one place where an upload moves to `rejected`, whether its first bytes say so or its inspection.
import type { Rejection } from '../../shared/errors.ts';
import type { Guard } from './conditions.ts';
import type { Ledger } from './ledger.ts';
import type { UploadChanges, UploadIn } from './upload.ts';
import type { UploadId } from './upload-id.ts';

export interface RejectionOptions {
  ledger: Ledger;
  /** Of the policy that refuses: once it has changed, the verdict counts for nothing. */
  policyHash: string;
  keepRecordsForMs: number;
}

/**
 * Resolves with the row as it is then, durable; undefined: it was not as the guard says.
 * @param known what else is to be written down with the verdict
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
