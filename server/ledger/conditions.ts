// What queries on uploads ask of a row.
import {
  type Expression,
  type ExpressionBuilder,
  type Kysely,
  type RawBuilder,
  type SqlBool,
  sql,
  type UpdateQueryBuilder,
  type UpdateResult,
} from 'kysely';
import type { UploadState } from '../../shared/upload.ts';
import type { Schema } from './schema.ts';
import type { UploadId } from './upload-id.ts';

/** What must still be true of the row for a change to happen. */
export interface Guard<From extends UploadState = UploadState> {
  from: From;
  /** The change belongs to this attempt of this lease holder alone. */
  lease?: { holder: string; attempt: number };
}

// Written out, not as parameters: only so does a planner see that a partial index covers the query.
export const INSPECTING: RawBuilder<UploadState> = sql.lit<UploadState>('inspecting');
export const RECEIVING: RawBuilder<UploadState> = sql.lit<UploadState>('receiving');

/**
 * A lease of nobody, or of one that is known to be dead. One that is not known at all is taken for alive: it may have come after
 * the moment at which the statement reads the other rows, as PostgreSQL's Read Committed has it for a row that it waited for.
 */
export function isFree(row: ExpressionBuilder<Schema, 'uploads'>): Expression<SqlBool> {
  return row.or([row('leaseOwner', 'is', null), isDead(row)]);
}

/** The upload's lock, where this holder has it in the ledger. */
export function lockOf(row: ExpressionBuilder<Schema, 'uploads'>, holder: string): Expression<{ owner: string }> {
  return row.selectFrom('locks').select('owner').whereRef('locks.uploadId', '=', 'uploads.id').where('locks.owner', '=', holder);
}

/** As far as it is proved already, or this far: never less. */
export function raised(row: ExpressionBuilder<Schema, 'uploads'>, provenOffset: number): Expression<number> {
  return row.case().when('provenOffset', '<', provenOffset).then(provenOffset).else(row.ref('provenOffset')).end();
}

function isDead(row: ExpressionBuilder<Schema, 'uploads'>) {
  const dead = row.selectFrom('holders').select('isDead').whereRef('holders.owner', '=', 'uploads.leaseOwner').where('isDead', '=', 1);
  return row.exists(dead);
}

/** An update of this upload, while the guard holds. */
export function guarded(db: Kysely<Schema>, id: UploadId, guard: Guard): UpdateQueryBuilder<Schema, 'uploads', 'uploads', UpdateResult> {
  const query = db.updateTable('uploads').where('id', '=', id).where('state', '=', guard.from);
  if (guard.lease === undefined) return query;
  const held = query.where('leaseOwner', '=', guard.lease.holder).where('attempt', '=', guard.lease.attempt);
  return held.where((row) => row.not(isDead(row)));
}
