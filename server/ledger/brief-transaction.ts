import { type Kysely, sql, type Transaction } from 'kysely';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';

/** Between two statements: they follow each other at once, unless the process was stopped. */
const IDLE_MS = 5000;

/**
 * Several statements, all or none. In PostgreSQL they hold locks that other processes wait for, so the server ends the session of a
 * process that was stopped in the middle. Nothing but the ledger may be waited for in it.
 */
export function briefly<T>({ db, dialect }: Engine, work: (transaction: Transaction<Schema>) => Promise<T>): Promise<T> {
  return db.transaction().execute(async (transaction) => {
    if (dialect === 'postgres') await limitIdleness(transaction);
    return work(transaction);
  });
}

async function limitIdleness(db: Kysely<Schema>): Promise<void> {
  await sql`select set_config('idle_in_transaction_session_timeout', ${String(IDLE_MS)}, true)`.execute(db);
}
