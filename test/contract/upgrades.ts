// What every ledger does with rows of an earlier version, with every engine.
import { sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { expect, it } from 'vitest';
import type { Engine } from '../../server/ledger/engine.ts';
import { findEvent } from '../../server/ledger/event-list.ts';
import { EventLog } from '../../server/ledger/event-log.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { migrations } from '../../server/ledger/migrations.ts';
import type { Upload, UploadRow } from '../../server/ledger/upload.ts';
import { UPLOAD_STATES } from '../../shared/upload.ts';
import { BEGIN, newUpload } from './new-upload.ts';
import { countedFromRows, counters } from './quotas.ts';

/** Brings an empty database to the state of the version whose last migration this was. */
export async function migrateTo(engine: Engine, migration: string): Promise<void> {
  const { error } = await new Migrator({ db: engine.migrating, provider: migrations(engine.dialect) }).migrateTo(migration);
  expect(error).toBeUndefined();
}

/** The row before there was access control, and before checks gave results. */
function asBefore(row: Upload): Upload {
  const { source, credential, quota, limits, reservedBytes, reservedUntil, onVolume, ...rest }: Partial<UploadRow> = row;
  const { result, scan, fault, recordExpiresAt, ...old } = rest;
  return old as unknown as Upload;
}

/** @param open an empty database, closed when the running test ends */
export function testUpgrades(open: () => Promise<Engine>): void {
  it('gives a type to files that were accepted before types were stored, without an event', async () => {
    const engine = await open();
    await migrateTo(engine, '0005-creation-fingerprint');
    const rows = UPLOAD_STATES.map((state) => asBefore(newUpload({ state, ...(state === 'receiving' ? {} : { target: '2020/01/02/x' }) })));
    const typed = asBefore(newUpload({ state: 'accepted', type: 'video/mp4' }));
    await engine.db
      .insertInto('uploads')
      .values(rows.map((row) => ({ ...row, type: null })))
      .execute();
    await engine.db.insertInto('uploads').values(typed).execute();
    await engine.flush();
    const ledger = new Ledger(engine);
    await ledger.migrate();
    for (const row of rows) {
      const isAccepted = row.state === 'accepted' || row.state === 'removed';
      expect(await ledger.get(row.id)).toMatchObject({ ...row, type: isAccepted ? 'application/octet-stream' : null });
    }
    expect(await ledger.get(typed.id)).toMatchObject(typed);
    expect(await engine.db.selectFrom('events').selectAll().execute()).toEqual([]);
  });

  it('assigns positions to events that were written before, in the order in which they were written', async () => {
    const engine = await open();
    await migrateTo(engine, '0010-stores');
    const rows = Array.from({ length: 250 }, () => newUpload({ state: 'receiving' }));
    for (const row of rows) await engine.db.insertInto('uploads').values(row).execute();
    // As the triggers of that version left them.
    await engine.db.updateTable('events').set({ position: null, givenAt: null }).execute();
    await engine.flush();
    const ledger = new Ledger(engine);
    await ledger.migrate();
    const later = newUpload({ state: 'receiving' });
    await ledger.create(later, true);
    const log = new EventLog({ engine, now: () => ledger.now(), bodyOf: ({ id }) => JSON.stringify({ id }) });
    while ((await log.assignPositions()) > 0);
    const events = await log.read(0, 1000);
    expect(events.map(({ position }) => position)).toEqual(events.map((_event, index) => index + 1));
    expect(events.map(({ uploadId }) => uploadId)).toEqual([...rows, later].map(({ id }) => id));
    for (const { id, body } of events) {
      expect(id).toMatch(/^evt_[0-9a-f]{32}$/);
      expect(JSON.parse(body)).toEqual({ id });
    }
  });

  it('keeps the events that were written before, and finds each event by its id', async () => {
    const engine = await open();
    await migrateTo(engine, '0014-immediate-positions');
    const rows = Array.from({ length: 3 }, () => newUpload({ state: 'receiving' }));
    for (const row of rows) await engine.db.insertInto('uploads').values(row).execute();
    const old = await engine.db.selectFrom('events').select(['id', 'type', 'uploadId', 'at', 'upload']).orderBy('number').execute();
    // As versions before positions were part of them.
    const ids = old.map((_event, index) => `evt_01a219dc6dce${String(index).padStart(20, 'f')}`);
    for (const [index, { id }] of old.entries()) {
      await engine.db.updateTable('events').set({ id: ids[index] }).where('id', '=', id).execute();
    }
    await engine.flush();
    const ledger = new Ledger(engine);
    await ledger.migrate();
    const later = newUpload({ state: 'receiving' });
    await ledger.create(later, true);
    const log = new EventLog({ engine, now: () => ledger.now(), bodyOf: ({ upload }) => upload });
    while ((await log.assignPositions()) > 0);
    const events = await log.read(0, 1000);
    expect(events.map(({ position }) => position)).toEqual([1, 2, 3, 4]);
    expect(events.slice(0, 3).map(({ id, type, uploadId, body }) => ({ id, type, uploadId, body }))).toEqual(
      old.map(({ type, uploadId, upload }, index) => ({ id: ids[index], type, uploadId, body: upload })),
    );
    for (const { id, position } of events) expect(await findEvent(engine, 'webhook', id)).toMatchObject({ id, position });
    for (const unknown of ['evt_', 'evt_0000000000000001', `evt_${'f'.repeat(32)}`, "evt_'"]) {
      expect(await findEvent(engine, 'webhook', unknown)).toBeUndefined();
    }
  });

  it('takes the limits of a credential from the uploads themselves, also of those that were created before', async () => {
    const engine = await open();
    await migrateTo(engine, '0017-quick-triggers');
    const counted = { credential: 'grant:x', reservedBytes: 100, limits: JSON.stringify({ maxUploads: 2, maxBytes: 1000 }) };
    const before = newUpload(counted);
    await engine.db.insertInto('uploads').values(before).execute();
    // The limits of another credential with that id, as versions before wrote them.
    await sql`update quotas set "maxUploads" = 1 where scope = 'grant:x'`.execute(engine.db);
    await engine.flush();
    const ledger = new Ledger(engine);
    await ledger.migrate();
    const create = () => ledger.create(newUpload(counted), true);
    expect(await create()).toBe(true);
    await expect(create()).rejects.toThrow('quota exceeded: credential uploads');
    const grown = ledger.change(before.id, { from: 'receiving' }, { reservedBytes: 901 }, false);
    await expect(grown).rejects.toThrow('quota exceeded: credential bytes');
  });

  it('goes on counting the uploads of each owner and credential', async () => {
    const engine = await open();
    await migrateTo(engine, '0016-position-keys');
    const counted = { quota: 'owner:anna', credential: 'grant:x', reservedBytes: 100, length: 100 };
    const [before, later] = [newUpload(counted), newUpload(counted)];
    await engine.db.insertInto('uploads').values(before).execute();
    await engine.flush();
    const ledger = new Ledger(engine);
    await ledger.migrate();
    await ledger.create(later, true);
    expect(await counters(engine)).toEqual(await countedFromRows(engine));
    await ledger.startInspection(before.id, 'p', BEGIN);
    await ledger.move(before.id, { from: 'inspecting' }, 'accepted', { name: 'a.txt', type: 'text/plain' });
    await ledger.move(later.id, { from: 'receiving' }, 'terminated', { expiresAt: 0 });
    expect(await counters(engine)).toEqual(await countedFromRows(engine));
    expect((await counters(engine)).get('grant:x')).toMatchObject({ unfinished: 0, storedBytes: 100, uploads: 1, bytes: 100 });
  });
}
