import type { Updateable } from 'kysely';
import type { Guard } from './conditions.ts';
import type { UploadTable } from './schema.ts';
import type { Upload } from './upload.ts';
import type { UploadId } from './upload-id.ts';

/** The statements that every upload needs. */
export interface RowChanges {
  /** Resolves to false, and adds nothing, when the owner used the idempotency key before or the holder of the row's lease is dead. */
  insert(upload: Upload): Promise<boolean>;
  /**
   * Resolves to the changed row; undefined when the row does not match the guard.
   * @param isAttempt counts one more run
   * @param known the row before, where the guard names its lease: its other columns need not be read again
   */
  update(id: UploadId, guard: Guard, set: Updateable<UploadTable>, isAttempt?: boolean, known?: Upload): Promise<Upload | undefined>;
}
