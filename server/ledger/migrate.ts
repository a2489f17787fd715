import { Migrator } from 'kysely/migration';
import { StartError } from '../runtime/start-error.ts';
import type { Engine } from './engine.ts';
import { writeEvents, writesWholeRows } from './event-tables.ts';
import { migrations } from './migrations.ts';

/** A newer version of Landfall wrote the ledger. Start that version. */
export class LedgerTooNew extends StartError {
  override readonly name = 'LedgerTooNew';
  override readonly code = 'ERR_LEDGER_TOO_NEW';
}

/** Brings the tables up to date. @throws LedgerTooNew */
export async function migrate(engine: Engine): Promise<void> {
  const provider = migrations(engine.dialect);
  const migrator = new Migrator({ db: engine.migrating, provider });
  const known = Object.keys(await provider.getMigrations());
  const newer = (await migrator.getMigrations().catch(() => [])).length > known.length;
  const { error } = await migrator.migrateToLatest();
  if (error instanceof Error && /corrupted migrations/.test(error.message)) {
    throw new LedgerTooNew('The ledger was written by a newer version of Landfall. Start that one.', { cause: error });
  }
  if (error || newer) throw error ?? new LedgerTooNew('The ledger was written by a newer version of Landfall.');
  // Events must include the columns that a later migration added.
  if (engine.dialect === 'sqlite' && !(await writesWholeRows(engine.db))) await engine.db.transaction().execute(writeEvents);
  await engine.flush();
}
