import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { loadWith } from '../runtime/optional-packages.ts';
import { StartError } from '../runtime/start-error.ts';
import type { Engine } from './engine.ts';
import { openSqlite } from './sqlite.ts';

export interface LedgerLocation {
  dataDir: string;
  /** Empty: SQLite in the data directory. */
  databaseUrl: string;
  databaseConnections: number;
}

/** The data directory holds a SQLite ledger, and `databaseUrl` names another ledger. Name a new, empty directory. */
export class LedgerElsewhere extends StartError {
  override readonly name = 'LedgerElsewhere';
  override readonly code = 'ERR_LEDGER_ELSEWHERE';
}

export function hasSqlite(dataDir: string): boolean {
  return existsSync(join(dataDir, 'ledger.sqlite'));
}

/**
 * @param exclusive true for the one process that serves the directory; ignored for PostgreSQL, which several processes share
 * @throws LedgerElsewhere, LedgerInUse, DatabaseUnusable, PackageMissing
 */
export async function openEngine({ dataDir, databaseUrl, databaseConnections }: LedgerLocation, exclusive: boolean): Promise<Engine> {
  if (databaseUrl === '') return openSqlite(dataDir, { exclusive });
  // PostgreSQL knows none of the uploads whose staged bytes are here, so the sweeper would delete those bytes.
  if (hasSqlite(dataDir)) {
    throw new LedgerElsewhere(
      `${dataDir} has a ledger of its own, ledger.sqlite, and LANDFALL_DATABASE_URL names another. Use a new directory.`,
    );
  }
  const [{ openPostgres }, { requireUsable }] = await loadWith(['pg'], 'LANDFALL_DATABASE_URL', () =>
    Promise.all([import('./postgres.ts'), import('./postgres-check.ts')]),
  );
  const engine = openPostgres(databaseUrl, { connections: databaseConnections });
  await requireUsable(engine).catch(async (error) => {
    await engine.close();
    throw error;
  });
  return engine;
}
