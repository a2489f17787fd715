// PostgreSQL takes whole numbers only, and no NUL: nothing that an application gives makes a row that it refuses for ever.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { UploadEvent } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { operatorCommand } from '../support/operator-command.ts';
import { postgresForTests } from '../support/postgres.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';

const postgres = postgresForTests();
const TEXT = Buffer.from('some text');
/** A fraction of a millisecond is left. */
const SOME_DAYS = (86_400_000 * 20) / 7;

it('durations with fractions, in settings and in the limits of a sender', async () => {
  const databaseUrl = await postgres.database();
  const durations = { expireAfter: SOME_DAYS, keepRecordsFor: SOME_DAYS, keepFilesFor: SOME_DAYS, keepEventsFor: SOME_DAYS };
  const server = await embedLandfall(
    { databaseUrl, databaseConnections: 4, lease: 5000.5, reserveFor: 60_000.3, sweepInterval: 1000.1, ...durations },
    { authenticate: ({ headers }) => ({ owner: 'anna', limits: headers.authorization ? { keepFilesForMs: 1e5 / 3 } : {} }) },
  );
  for (const headers of [{}, { Authorization: 'limited' }]) {
    expect(await createUpload(server.files, { length: 9, name: 'a.txt', headers })).toMatchObject({ status: 201 });
    expect(await createUpload(server.files, { length: 9, name: 'b.txt', body: TEXT, headers })).toMatchObject({ status: 201, offset: 9 });
  }
});

it('a message with NUL in it, of an event function that fails', async () => {
  const told: UploadEvent[] = [];
  let calls = 0;
  const server = await embedLandfall(
    { databaseUrl: await postgres.database(), databaseConnections: 4 },
    {
      onEvent(event) {
        if (++calls === 1) throw new Error('a\0b');
        told.push(event);
      },
    },
  );
  await createUpload(server.files, { length: 9, name: 'a.txt' });
  await expect.poll(() => told.map(({ type }) => type)).toEqual(['upload.created']);
});

it('the age of a file of another server, which file systems keep to a fraction of a millisecond', async () => {
  const directory = testDirectory();
  await writeFile(join(directory, 'half'), 'some');
  await writeFile(join(directory, 'half.info'), JSON.stringify({ ID: 'half', Size: 9, Offset: 4, MetaData: { filename: 'a.txt' } }));
  const env = { LANDFALL_DATA_DIR: testDirectory(), LANDFALL_DATABASE_URL: await postgres.database() };
  const ran = await operatorCommand(['adopt', '--tusd', directory], env);
  expect(ran).toMatchObject({ code: 0, err: '' });
  expect(ran.out).toContain('0 finished and 1 unfinished uploads adopted');
});
