import { expect, it } from 'vitest';
import { postgresForTests } from '../support/postgres.ts';
import { drill } from './restore-drill.ts';

const postgres = postgresForTests();

// Starts a handful of processes, one after the other.
it('a ledger in PostgreSQL and its files, backed up beside a busy server, are restored into a new database and directory', {
  timeout: 600_000,
}, async () => {
  const database = await postgres.database();
  const env = { LANDFALL_DATABASE_URL: database, LANDFALL_LEASE: '2s' };
  await drill({
    engine: 'PostgreSQL',
    documentedDir: '/srv/landfall',
    env,
    async restoreInto() {
      const alive = 'select owner from holders where "expiresAt" > extract(epoch from clock_timestamp()) * 1000';
      await expect.poll(() => postgres.query(alive, database)).toEqual([]);
      return { ...env, LANDFALL_DATABASE_URL: await postgres.database() };
    },
  });
});
