// A server is killed before anything has read its events: the next start continues with the next position, and tells of each event once.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it, onTestFinished } from 'vitest';
import { startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';
import { startReceiver } from '../support/webhook-receiver.ts';

interface EventRow {
  id: string;
  position: number;
  body: string | null;
}

function eventRows(dataDir: string): EventRow[] {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'), { readOnly: true });
  try {
    return database.prepare('select id, position, body from events order by position').all() as unknown as EventRow[];
  } finally {
    database.close();
  }
}

it('a kill leaves each event with its place, and the next start delivers each once', async () => {
  const dataDir = testDirectory();
  const receiver = await startReceiver();
  await receiver.down();
  const secret = `whsec_${Buffer.alloc(32, 3).toString('base64')}`;
  const server = await startLandfall({ dataDir, env: { LANDFALL_WEBHOOK_URL: receiver.url, LANDFALL_WEBHOOK_SECRET: secret } });
  onTestFinished(() => server.kill());
  const body = Buffer.from('text');
  const upload = async (name: string) => expect((await createUpload(server.files, { length: 4, name, body })).status).toBe(201);
  await upload('first.txt');
  await server.kill();
  const before = eventRows(dataDir);
  expect(before).toHaveLength(2);
  await server.start();
  await upload('second.txt');
  await receiver.up();
  await expect.poll(() => receiver.taken.length, { timeout: 30_000 }).toBe(4);
  await server.kill();
  const after = eventRows(dataDir);
  expect(after.slice(0, 2).map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  expect(after.map(({ position }) => position)).toEqual([1, 2, 3, 4]);
  expect(receiver.taken.map(({ id }) => id).sort()).toEqual(after.map(({ id }) => id).sort());
  for (const { id, body: told } of after) expect(JSON.parse(told ?? '{}').id).toBe(id);
});
