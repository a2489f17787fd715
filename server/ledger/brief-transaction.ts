import { type Kysely, sql, type Transaction } from 'kysely';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';

/** Limit of the time between two statements: they follow each other at once, unless the process was suspended. */
const IDLE_MS = 5000;

/**
 * Runs several statements in one transaction. In PostgreSQL its locks block other processes, so PostgreSQL ends the session of a
 * process that is suspended between two statements. `work` may wait for the ledger only.
 */
export function inBriefTransaction<T>({ db, dialect }: Engine, work: (transaction: Transaction<Schema>) => Promise<T>): Promise<T> {
  return db.transaction().execute(async (transaction) => {
    if (dialect === 'postgres') await limitIdleness(transaction);
    return work(transaction);
  });
}

async function limitIdleness(db: Kysely<Schema>): Promise<void> {
  await sql`select set_config('idle_in_transaction_session_timeout', ${String(IDLE_MS)}, true)`.execute(db);
}
