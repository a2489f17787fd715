import { describe, onTestFinished } from 'vitest';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openSqlite } from '../../server/ledger/sqlite.ts';
import { testQuotas } from '../contract/quotas.ts';
import { testDirectory } from '../support/temp-dir.ts';

describe('quotas on SQLite', () => {
  testQuotas(async () => {
    const engine = await openSqlite(testDirectory(), { exclusive: false });
    const ledger = new Ledger(engine);
    onTestFinished(() => ledger.close());
    await ledger.migrate();
    return {
      engine,
      ledger,
      // Only one process serves SQLite.
      other: async () => engine,
    };
  });
});
