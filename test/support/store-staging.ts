// Staging in a store of @tus/*, with the ledger's names of its contents, until the running test ends.
import { join } from 'node:path';
import type { DataStore } from '@tus/utils';
import { onTestFinished } from 'vitest';
import { migrate } from '../../server/ledger/migrate.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import { StagedNames } from '../../server/ledger/staged-names.ts';
import { StoreStaging } from '../../server/staging/store/store-staging.ts';
import { testDirectory } from './temp-dir.ts';

/** @param directory of the ledger, for several processes with one ledger */
export async function openStoreStaging(store: DataStore, prefix = '', directory: string = testDirectory()): Promise<StoreStaging> {
  const engine = await openSqlite(directory, { exclusive: false });
  await migrate(engine);
  const staging = new StoreStaging({
    store,
    names: new StagedNames(() => engine),
    spoolDir: join(directory, 'spool'),
    prefix,
    maxUploadBytes: 1024 ** 3,
  });
  await staging.prepare();
  onTestFinished(async () => {
    await staging.close();
    await engine.close();
  });
  return staging;
}
