import type { Updateable } from 'kysely';
import type { Guard } from './conditions.ts';
import type { UploadTable } from './schema.ts';
import type { Upload } from './upload.ts';
import type { UploadId } from './upload-id.ts';

/** How rows of uploads are added and changed: the statements that every upload makes. */
export interface RowChanges {
  /** False when the owner used the idempotency key before, or the holder of its lease is dead: then nothing was written. */
  insert(upload: Upload): Promise<boolean>;
  /** Resolves with the row as it is then; undefined when it was not as the guard says. `isAttempt` counts one more. */
  update(id: UploadId, guard: Guard, set: Updateable<UploadTable>, isAttempt?: boolean): Promise<Upload | undefined>;
}
