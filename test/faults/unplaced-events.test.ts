// A server is killed between the commit of an event and the assignment of its position: the next start assigns it, once.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, it, onTestFinished } from 'vitest';
import { startLandfall } from '../support/landfall-process.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload } from '../support/tus-requests.ts';

interface EventRow {
  id: string;
  position: number | null;
  upload: string | null;
  body: string | null;
}

function eventRows(dataDir: string): EventRow[] {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'), { readOnly: true });
  try {
    return database.prepare('select id, position, upload, body from events order by number').all() as unknown as EventRow[];
  } finally {
    database.close();
  }
}

it('the next start positions events that a kill left without one, and delivers none twice', async () => {
  const dataDir = testDirectory();
  const server = await startLandfall({ dataDir });
  onTestFinished(() => server.kill());
  const body = Buffer.from('text');
  let left: EventRow[] = [];
  for (let n = 0; left.length === 0; n++) {
    expect((await createUpload(server.files, { length: 4, name: `${n}.txt`, body })).status).toBe(201);
    await server.kill();
    // Try again when the server positioned them before the kill.
    left = eventRows(dataDir).filter(({ position }) => position === null);
    if (left.length === 0) await server.start();
  }
  for (const { upload, body: told } of left) expect([JSON.parse(upload ?? 'null')?.state, told]).toEqual([expect.any(String), null]);
  const before = eventRows(dataDir);
  await server.start();
  await expect.poll(() => eventRows(dataDir).every(({ position }) => position !== null)).toBe(true);
  const after = eventRows(dataDir);
  expect(after.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  expect(after.map(({ position }) => position)).toEqual(after.map((_, n) => n + 1));
  for (const { id, upload, body: told } of after) expect([upload, JSON.parse(told ?? '{}').id]).toEqual([null, id]);
});
