import type { Rejection } from '../../shared/errors.ts';
import type { Upload } from '../ledger/upload.ts';

/** Whether who sent an upload may still do so when it is all here: it may have been on its way for days. */
export interface FinishPermission {
  /**
   * Asked when the checks are through, before anything is published; again in each attempt.
   * @returns a clear no, which refuses the file for good; undefined: it may
   * @throws where that can't be told, which is no fault of the file's: the next attempt asks again
   */
  mayFinish(upload: Upload): Promise<Rejection | undefined>;
}
