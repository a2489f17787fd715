import type { Rejection } from '../../shared/errors.ts';
import type { Upload } from '../ledger/upload.ts';

/** Decides whether the sender of a complete upload is still allowed to send it: an upload may have taken days. */
export interface FinishPermission {
  /**
   * Asked in each run when the checks have passed, before the file is published.
   * @returns the rejection that refuses the file for good; undefined: the sender is allowed
   * @throws when the answer is not known, which does not count against the file: the next run asks again
   */
  mayFinish(upload: Upload): Promise<Rejection | undefined>;
}
