// docs/events.md describes the bodies of events; the tests compare it with real events of every type.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { z } from 'zod';
import type { UploadEvent } from '../../server/index.ts';
import { EVENT_TYPES } from '../../server/ledger/event-tables.ts';
import { videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { operatorCommand } from '../support/operator-command.ts';
import { REPOSITORY } from '../support/repository.ts';
import { createUpload, idOf, terminateUpload } from '../support/tus-requests.ts';

async function blocks(language: string): Promise<string[]> {
  const page = await readFile(join(REPOSITORY, 'docs/events.md'), 'utf8');
  return [...page.matchAll(/^```(.+)\n([\s\S]*?)^```$/gm)].flatMap(([, name, text = '']) => (name === language ? [text] : []));
}

/** At least one event of every type, of uploads with every field that a record can have. */
async function everyEvent(): Promise<Omit<UploadEvent, 'position'>[]> {
  const events: UploadEvent[] = [];
  const server = await embedLandfall(
    { sha256: true, expireAfter: '1s', sweepInterval: '100ms' },
    { authenticate: () => 'anna', onEvent: (event) => void events.push(event) },
  );
  const bytes = await videoBytes(50_000);
  const metadata = { relativePath: 'day 1/film.mp4', filetype: 'video/mp4' };
  const { url } = await createUpload(server.files, { length: bytes.length, name: 'film.mp4', body: bytes, metadata });
  await createUpload(server.files, { length: 4, name: 'a.png', body: Buffer.from('text') });
  await createUpload(server.files, { length: 100, name: 'left.txt' });
  await createUpload(server.files, { name: 'deferred.txt', headers: { 'Upload-Defer-Length': '1' } });
  await terminateUpload((await createUpload(server.files, { length: 100, name: 'gone.txt' })).url);
  // The command runs in its own process: here it would block the thread that must commit the server's transaction.
  expect(await operatorCommand(['rm', idOf(url)], { LANDFALL_DATA_DIR: server.landfall.config.dataDir })).toMatchObject({ code: 0 });
  await expect.poll(() => [...new Set(events.map(({ type }) => type))].sort()).toEqual([...EVENT_TYPES].sort());
  return events.map(({ position, ...body }) => body);
}

it('docs/events.md has the schema of every body, and an example of one', async () => {
  const [schemaText = ''] = await blocks('json schema');
  const schema = z.fromJSONSchema(JSON.parse(schemaText));
  const [example = ''] = await blocks('json');
  expect(schema.parse(JSON.parse(example))).toEqual(JSON.parse(example));
  for (const event of await everyEvent()) {
    const { error } = schema.safeParse(event);
    expect(error?.issues, JSON.stringify(event)).toBeUndefined();
    // The comparison is strict: an undocumented field fails, and so does a documented field that is absent.
    expect(schema.safeParse({ ...event, data: { ...event.data, unknown: 1 } }).success).toBe(false);
    const { owner, ...rest } = event.data;
    expect(schema.safeParse({ ...event, data: rest }).success, owner).toBe(false);
  }
});

it('docs/events.md lists each type with its sequence, and no other', async () => {
  const page = await readFile(join(REPOSITORY, 'docs/events.md'), 'utf8');
  const listed = new Map(
    [...page.matchAll(/^\| `(upload\.\w+)` \| .+ \| (\d) \|$/gm)].map(([, type = '', sequence]) => [type, Number(sequence)]),
  );
  expect([...listed.keys()]).toEqual([...EVENT_TYPES]);
  for (const { type, sequence } of await everyEvent()) expect(listed.get(type)).toBe(sequence);
});
