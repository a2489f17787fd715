import type { Selectable, Updateable } from 'kysely';
import type { UploadTable } from './schema.ts';

/** The row of an upload. */
export type Upload = Readonly<Selectable<UploadTable>>;
export type UploadChanges = Omit<Updateable<UploadTable>, 'id' | 'owner' | 'state' | 'createdAt'>;
