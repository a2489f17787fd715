import { join } from 'node:path';
import { expect, it } from 'vitest';
import { filesBelow, sha256OfFile } from '../support/content.ts';
import { postgresForTests } from '../support/postgres.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { type SharedPlace, uploadThroughManyProcesses } from './many-processes.ts';

const MIB = 1024 * 1024;
const isLong = process.env.LANDFALL_TEST_LONG === '1';
const postgres = postgresForTests({ fsync: isLong });

function sharedDirectory(): SharedPlace {
  const dataDir = testDirectory();
  const files = join(dataDir, 'files');
  return {
    dataDir,
    env: {},
    staged: () => filesBelow(join(dataDir, 'staging')),
    async published() {
      const paths = await filesBelow(files);
      // The path without the day.
      const named = paths.map(async (path) => [path.split('/').slice(3).join('/'), await sha256OfFile(join(files, path))] as const);
      return new Map(await Promise.all(named));
    },
  };
}

it('three processes on one directory and PostgreSQL, killed and suspended, accept every file once and lose none', async () => {
  const burden = isLong
    ? { uploads: 500, atOnce: 6, maxBytes: 96 * MIB, inspectionMs: 1000, killEveryMs: 2000, maxKills: 1000, hits: 20 }
    : { uploads: 50, atOnce: 6, maxBytes: 48 * MIB, inspectionMs: 700, killEveryMs: 1200, maxKills: 10, hits: 1 };
  const hits = await uploadThroughManyProcesses(sharedDirectory(), postgres, burden);
  expect(hits.kills).toBeGreaterThanOrEqual(burden.hits);
});
