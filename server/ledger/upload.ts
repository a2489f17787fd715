import type { Selectable, Updateable } from 'kysely';
import type { UploadTable } from './schema.ts';

/** The row of an upload. */
export type Upload = Readonly<Selectable<UploadTable>>;
export type UploadChanges = Omit<Updateable<UploadTable>, 'id' | 'owner' | 'state' | 'createdAt'>;

/** What the row of a new upload has in it whoever sends what: nothing is stored, inspected or decided yet. */
export const JUST_CREATED = {
  state: 'receiving',
  held: 'byte',
  type: null,
  target: null,
  provenOffset: 0,
  checksum: 0,
  checksumOffset: 0,
  unverifiedFrom: null,
  expectedChecksum: null,
  sha256: null,
  attempt: 0,
  strikes: 0,
  leaseOwner: null,
  retryAt: null,
  creationFingerprint: null,
  errorCode: null,
  errorDetail: null,
  policyHash: null,
  directDueAt: null,
  wallAheadMs: 0,
} as const satisfies Partial<Upload>;
