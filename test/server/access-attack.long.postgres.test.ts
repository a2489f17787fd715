// PostgreSQL compares text by its own rules, and keeps other bytes than SQLite.
import { it } from 'vitest';
import { expectOwnersApart } from '../contract/odd-owners.ts';
import { postgresForTests } from '../support/postgres.ts';

const postgres = postgresForTests({ fsync: false });

it('owners with every odd name have what is their own, and count by themselves', async () => {
  await expectOwnersApart({ databaseUrl: await postgres.database() });
});
