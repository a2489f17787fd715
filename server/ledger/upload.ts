import type { Selectable, Updateable } from 'kysely';
import type { UploadState } from '../../shared/upload.ts';
import type { UploadTable } from './schema.ts';

/** A row as the database types it: any nullable column may be null in any state. */
export type UploadRow = Readonly<Selectable<UploadTable>>;

/** The columns that are never null in a state. The types of uploads derive from this, and `toUpload` checks each row against it. */
const NEVER_NULL = {
  receiving: [],
  inspecting: ['length', 'target'],
  accepted: ['length', 'name', 'type', 'target'],
  // When the first bytes are refused, there is no target yet, and maybe no length.
  rejected: ['errorCode'],
  expired: [],
  terminated: [],
  removed: ['length', 'name', 'type', 'target'],
} as const;

/** Columns that have a meaning in these states only. The types of other states leave them out. */
interface OnlyIn {
  target: 'inspecting' | 'accepted' | 'rejected' | 'removed';
  leaseOwner: 'inspecting';
  retryAt: 'inspecting';
  fault: 'inspecting';
  errorCode: 'rejected';
  errorDetail: 'rejected';
  policyHash: 'rejected';
  type: 'accepted' | 'removed';
  sha256: 'accepted' | 'removed';
  recordExpiresAt: 'removed';
}

type NeverNull<S extends UploadState> = (typeof NEVER_NULL)[S][number];
type Elsewhere<S extends UploadState> = { [C in keyof OnlyIn]: S extends OnlyIn[C] ? never : C }[keyof OnlyIn];
type Column<S extends UploadState, C extends keyof UploadRow> = C extends 'state'
  ? S
  : C extends NeverNull<S>
    ? NonNullable<UploadRow[C]>
    : UploadRow[C];

/** The row of an upload in this state, or in one of several states. */
export type UploadIn<S extends UploadState> = S extends UploadState
  ? { readonly [C in Exclude<keyof UploadRow, Elsewhere<S>>]: Column<S, C> }
  : never;

/** The row of an upload in any state. Its `state` tells which columns it has. */
export type Upload = UploadIn<UploadState>;

/** An upload under inspection whose lease a process holds. */
export type LeasedUpload = UploadIn<'inspecting'> & { readonly leaseOwner: string };

export type UploadChanges = Omit<Updateable<UploadTable>, 'id' | 'owner' | 'state' | 'createdAt'>;

/** The changes of a move to another state. They must include the columns that are never null in the new state and may be in the old one. */
export type MoveChanges<From extends UploadState, To extends UploadState> = UploadChanges & {
  [C in Exclude<NeverNull<To>, NeverNull<From>>]: NonNullable<UploadRow[C]>;
};

/** A row is null in a column that its state requires, or its state is unknown. Landfall never writes such a row. */
export class BrokenRow extends Error {
  override readonly name = 'BrokenRow';
}

/** Checks and types a row. Every row that is read passes through here. @throws BrokenRow */
export function toUpload(row: UploadRow): Upload {
  const columns: (typeof NEVER_NULL)[UploadState] | undefined = NEVER_NULL[row.state];
  if (columns === undefined) throw new BrokenRow(`Upload ${row.id} is in a state that is not known: ${row.state}.`);
  for (const column of columns) {
    if (row[column] === null) throw new BrokenRow(`Upload ${row.id} is ${row.state}, and its row has no ${column}.`);
  }
  return row as Upload;
}

/** The first values of a new row: nothing is stored, inspected or decided yet. */
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
  result: null,
  scan: null,
  fault: null,
  recordExpiresAt: null,
  policyHash: null,
  directDueAt: null,
  wallAheadMs: 0,
  source: 'anonymous',
  credential: null,
  quota: '',
  limits: '{}',
  reservedBytes: 0,
  reservedUntil: null,
  onVolume: 0,
} as const;
