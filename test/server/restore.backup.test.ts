import { it } from 'vitest';
import { drill } from './restore-drill.ts';

// Starts a handful of processes, one after the other.
it('a ledger in SQLite and its files, backed up beside a busy server, are restored into a new directory', { timeout: 600_000 }, () =>
  drill({ engine: 'SQLite', documentedDir: '/var/lib/landfall', env: {}, restoreInto: async () => ({}) }),
);
