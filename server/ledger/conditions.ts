// Conditions that several queries on uploads share.
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

/** The condition that the row must still meet when the change is made. */
export interface Guard<From extends UploadState = UploadState> {
  from: From;
  /** Only this run (`attempt`) of this lease holder may make the change. */
  lease?: { holder: string; attempt: number };
}

// Literals, not parameters: otherwise the query planner cannot use the partial indexes.
export const INSPECTING: RawBuilder<UploadState> = sql.lit<UploadState>('inspecting');
export const RECEIVING: RawBuilder<UploadState> = sql.lit<UploadState>('receiving');

/**
 * True when no living process holds the inspection's lease. A holder without a row counts as alive: its row may be newer than the
 * snapshot in which the statement reads the other tables (PostgreSQL's Read Committed, when a statement waited for a row's lock).
 */
export function isFree(row: ExpressionBuilder<Schema, 'uploads'>): Expression<SqlBool> {
  return row.or([row('leaseOwner', 'is', null), isDead(row)]);
}

/** Selects the upload's lock if this holder holds it in the ledger. */
export function lockOf(row: ExpressionBuilder<Schema, 'uploads'>, holder: string): Expression<{ owner: string }> {
  return row.selectFrom('locks').select('owner').whereRef('locks.uploadId', '=', 'uploads.id').where('locks.owner', '=', holder);
}

/** The larger of the row's proven offset and this one. */
export function raised(row: ExpressionBuilder<Schema, 'uploads'>, provenOffset: number): Expression<number> {
  return row.case().when('provenOffset', '<', provenOffset).then(row.val(provenOffset)).else(row.ref('provenOffset')).end();
}

function isDead(row: ExpressionBuilder<Schema, 'uploads'>) {
  const dead = row.selectFrom('holders').select('isDead').whereRef('holders.owner', '=', 'uploads.leaseOwner').where('isDead', '=', 1);
  return row.exists(dead);
}

/** An update of this upload that matches no row unless the guard holds. */
export function guarded(db: Kysely<Schema>, id: UploadId, guard: Guard): UpdateQueryBuilder<Schema, 'uploads', 'uploads', UpdateResult> {
  const query = db.updateTable('uploads').where('id', '=', id).where('state', '=', guard.from);
  if (guard.lease === undefined) return query;
  const held = query.where('leaseOwner', '=', guard.lease.holder).where('attempt', '=', guard.lease.attempt);
  return held.where((row) => row.not(isDead(row)));
}
