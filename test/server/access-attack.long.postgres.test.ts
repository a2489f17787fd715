// PostgreSQL has its own rules to compare text, and stores other bytes than SQLite.
import { it } from 'vitest';
import { expectOwnersApart } from '../contract/odd-owners.ts';
import { postgresForTests } from '../support/postgres.ts';

const postgres = postgresForTests({ fsync: false });

it('owners with odd names reach only their own uploads, and count separately', async () => {
  await expectOwnersApart({ databaseUrl: await postgres.database() });
});
