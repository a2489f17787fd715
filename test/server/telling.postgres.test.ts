// Several processes on one ledger: an application's event function runs in one of them at a time, and readers of any get every
// event.
import { expect, it } from 'vitest';
import type { UploadEvent } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { postgresForTests } from '../support/postgres.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';

const postgres = postgresForTests();
const TEXT = Buffer.from('some text');

it('an event is delivered by one process only, by another once that has ended, and readable at each', async () => {
  const databaseUrl = await postgres.database();
  const dataDir = testDirectory();
  const told: { by: number; event: UploadEvent }[] = [];
  const open = (by: number) =>
    embedLandfall({ dataDir, databaseUrl, databaseConnections: 4, lease: '2s' }, { onEvent: (event) => void told.push({ by, event }) });
  const servers = [await open(0), await open(1), await open(2)];
  const send = async () => {
    for (const { files } of servers.slice(-2)) await createUpload(files, { length: TEXT.length, name: 'a.txt', body: TEXT });
  };
  await send();
  await expect.poll(() => told.length).toBe(4);
  const [first] = told;
  expect(new Set(told.map(({ by }) => by)).size).toBe(1);
  expect(first?.by).toBe(0);
  const heard: UploadEvent[] = [];
  for await (const event of servers[2]?.landfall.events() ?? []) if (heard.push(event) === 4) break;
  expect(heard.map(({ id }) => id).sort()).toEqual(told.map(({ event }) => event.id).sort());

  await servers[0]?.close();
  await send();
  await expect.poll(() => told.length).toBe(8);
  const [next] = told.slice(4);
  expect(next?.by).not.toBe(0);
  expect(new Set(told.slice(4).map(({ by }) => by)).size).toBe(1);
  expect(new Set(told.map(({ event }) => event.id)).size).toBe(8);
});
