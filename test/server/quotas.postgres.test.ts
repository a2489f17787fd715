import { describe, onTestFinished } from 'vitest';
import { Ledger } from '../../server/ledger/ledger.ts';
import { openPostgres } from '../../server/ledger/postgres.ts';
import { testQuotas } from '../contract/quotas.ts';
import { postgresForTests } from '../support/postgres.ts';

const postgres = postgresForTests({ fsync: false });

describe('quotas on PostgreSQL', () => {
  testQuotas(async () => {
    const url = await postgres.database();
    const engine = openPostgres(url, { connections: 5 });
    const ledger = new Ledger(engine);
    onTestFinished(() => ledger.close());
    await ledger.migrate();
    return {
      engine,
      ledger,
      async other() {
        const second = openPostgres(url, { connections: 5 });
        onTestFinished(() => second.close());
        return second;
      },
    };
  });
});
