// The events of uploads, with every engine: each change once, as it was, in an order that a reader can follow.
import { expect, it } from 'vitest';
import type { Engine } from '../../server/ledger/engine.ts';
import { EventLog, type NewEvent, skipEventPositions } from '../../server/ledger/event-log.ts';
import type { Ledger } from '../../server/ledger/ledger.ts';
import type { UploadRow } from '../../server/ledger/upload.ts';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { BEGIN, HOUR, newUpload } from './new-upload.ts';

export interface EventsUnderTest {
  engine: Engine;
  ledger: Ledger;
}

/** The frozen row is the body here: making a body of it is tested elsewhere. */
const asItIs = ({ upload }: NewEvent) => upload;

export function openEventLog(
  { engine, ledger }: EventsUnderTest,
  aheadMs = () => 0,
  bodyOf: (event: NewEvent) => string = asItIs,
): EventLog {
  return new EventLog({ engine, now: () => ledger.now() + aheadMs(), bodyOf });
}

export async function giveAll(events: EventLog): Promise<void> {
  while ((await events.assignPositions()) > 0);
}

/** @param open makes an empty ledger that goes when the running test ends */
export function testEvents(open: () => Promise<EventsUnderTest>): void {
  /** All events that a reader gets, from the first one on. */
  async function told(events: EventLog, after = 0): Promise<[string, UploadId, Partial<UploadRow>][]> {
    await giveAll(events);
    return (await events.read(after, 1000)).map(({ type, uploadId, body }) => [type, uploadId, JSON.parse(body)]);
  }

  it('tells of each change once, with the row as the change left it', async () => {
    const opened = await open();
    const { ledger } = opened;
    const events = openEventLog(opened);
    const strange = { metadata: 'filename eA==', originalName: '“Zoë” 🎬 \u202e"\\.mp4', length: 2 ** 52, checksum: 2 ** 32 - 1 };
    const upload = newUpload(strange);
    const { id } = upload;
    await ledger.create(upload, true);
    expect(await told(events)).toEqual([['upload.created', id, upload]]);
    await ledger.checkpoint(id, { checksum: 5, checksumOffset: 7 }, 7);
    await ledger.startInspection(id, 'p1', { ...BEGIN, length: 2 ** 52 });
    const lease = { holder: 'p1', attempt: 1 };
    const accepted = await ledger.move(id, { from: 'inspecting', lease }, 'accepted', {
      name: 'a.mp4',
      type: 'video/mp4',
      leaseOwner: null,
    });
    const removed = await ledger.move(id, { from: 'accepted' }, 'removed', { expiresAt: ledger.now() - 1 });
    // The event is still there after the record is gone.
    expect(await ledger.forget(id, ledger.now())).toBe(true);
    expect(await told(events)).toEqual([
      ['upload.created', id, upload],
      ['upload.accepted', id, accepted],
      ['upload.removed', id, removed],
    ]);
  });

  it('tells of every end there is, and of a creation that is the end as well', async () => {
    const opened = await open();
    const { ledger } = opened;
    const events = openEventLog(opened);
    const [refused, expired, terminated, whole, empty] = Array.from({ length: 5 }, () => newUpload());
    const late = newUpload({ state: 'rejected', errorCode: 'ERR_EMPTY' });
    for (const upload of [refused, expired, terminated, late, whole]) await ledger.create(upload ?? late, true);
    if (!refused || !expired || !terminated || !whole || !empty) throw new Error('fewer than five uploads were created');
    await ledger.move(refused.id, { from: 'receiving' }, 'rejected', { errorCode: 'ERR_EMPTY' });
    await ledger.move(expired.id, { from: 'receiving' }, 'expired', {});
    await ledger.move(terminated.id, { from: 'receiving' }, 'terminated', {});
    // Undone: the upload ends, whatever its sender is told.
    await ledger.create({ ...empty, length: 0 }, true);
    await ledger.abandon(empty.id);
    // None of these changes is an end.
    await ledger.startInspection(whole.id, 'p1', BEGIN);
    await ledger.move(whole.id, { from: 'inspecting' }, 'receiving', {});
    const all = await told(events);
    const of = (id: UploadId) => all.filter(([, uploadId]) => uploadId === id).map(([type]) => type);
    expect(of(refused.id)).toEqual(['upload.created', 'upload.rejected']);
    expect(of(expired.id)).toEqual(['upload.created', 'upload.expired']);
    expect(of(terminated.id)).toEqual(['upload.created', 'upload.terminated']);
    expect(of(late.id)).toEqual(['upload.created', 'upload.rejected']);
    expect(of(empty.id)).toEqual(['upload.created', 'upload.terminated']);
    expect(of(whole.id)).toEqual(['upload.created']);
  });

  it('gives positions once and in order, from several processes, during writes', async () => {
    const opened = await open();
    const { ledger } = opened;
    // One process serves a ledger in SQLite.
    const givers = Array.from({ length: ledger.isAlone ? 1 : 4 }, () => openEventLog(opened));
    const [reader] = givers;
    if (reader === undefined) throw new Error('no ledger was opened');
    let isWriting = true;
    const ids: UploadId[] = [];
    const write = async () => {
      for (let n = 0; n < 60; n++) {
        const upload = newUpload();
        await ledger.create(upload, n % 2 === 0);
        await ledger.move(upload.id, { from: 'receiving' }, 'terminated', {});
        ids.push(upload.id);
      }
    };
    const give = async (events: EventLog) => {
      while (isWriting) {
        await events.assignPositions();
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    };
    const heard: { position: number; uploadId: UploadId; type: string }[] = [];
    const read = async () => {
      for (const page of [await reader.read(heard.at(-1)?.position ?? 0, 7)]) heard.push(...page);
    };
    const reading = (async () => {
      while (isWriting) {
        await read();
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    })();
    const giving = givers.map(give);
    await Promise.all([write(), write(), write()]);
    isWriting = false;
    await Promise.all([...giving, reading]);
    await giveAll(reader);
    for (let before = -1; before !== heard.length; ) {
      before = heard.length;
      await read();
    }
    expect(heard.map(({ position }) => position)).toEqual(heard.map((_, n) => n + 1));
    for (const id of ids) expect(heard.filter(({ uploadId }) => uploadId === id).map(({ type }) => type)).toHaveLength(2);
    expect(heard).toHaveLength(2 * ids.length);
    const order = (id: UploadId) => heard.filter(({ uploadId }) => uploadId === id).map(({ type }) => type);
    for (const id of ids) expect(order(id)).toEqual(['upload.created', 'upload.terminated']);
  });

  it('keeps the position and body of an event, and gives them to an event that a crash left without', async () => {
    const opened = await open();
    const { ledger } = opened;
    await ledger.create(newUpload(), true);
    const first = openEventLog(opened);
    await giveAll(first);
    const [given] = await first.read(0, 10);
    await ledger.create(newUpload(), true);
    // The process that would have given it is gone.
    const next = openEventLog(opened);
    expect(await next.assignPositions()).toBeGreaterThan(0);
    await giveAll(next);
    const all = await next.read(0, 10);
    expect(all).toHaveLength(2);
    expect(all[0]).toEqual(given);
    expect(all[0]?.id).toMatch(/^evt_[0-9a-f]{32}$/);
    expect(all[0]?.id).not.toBe(all[1]?.id);
  });

  it('deletes old events that are pending for no consumer, and tells a reader that was behind', async () => {
    const opened = await open();
    const { ledger, engine } = opened;
    let aheadMs = 0;
    const events = openEventLog(opened, () => aheadMs);
    for (let n = 0; n < 5; n++) await ledger.create(newUpload(), true);
    await giveAll(events);
    const [first, second, third] = await events.read(0, 10);
    if (!first || !second || !third) throw new Error('fewer than five uploads were created');
    await engine.db
      .insertInto('deliveries')
      .values({ consumer: 'webhook', position: second.position, uploadId: second.uploadId, state: 'pending', attempts: 3 })
      .execute();
    await engine.db
      .insertInto('deliveries')
      .values({ consumer: 'webhook', position: third.position, uploadId: third.uploadId, state: 'failed', attempts: 3 })
      .execute();
    const all = Number.MAX_SAFE_INTEGER;
    expect(await events.forget(ledger.now() - HOUR, all)).toBe(0);
    aheadMs = 2 * HOUR;
    await ledger.create(newUpload(), true);
    await giveAll(events);
    const givenBefore = ledger.now() + HOUR;
    // Not events that a receiver has not been assigned yet.
    expect(await events.forget(givenBefore, first.position)).toBe(1);
    await expect(events.requireKnown(first.position)).resolves.toBeUndefined();
    expect(await events.forget(givenBefore, all)).toBe(3);
    expect((await events.read(0, 10)).map(({ position }) => position)).toEqual([2, 6]);
    expect(await engine.db.selectFrom('deliveries').select('position').execute()).toEqual([{ position: second.position }]);
    await expect(events.requireKnown(0)).resolves.toBeUndefined();
    await expect(events.requireKnown(second.position)).rejects.toMatchObject({ code: 'ERR_EVENTS_FORGOTTEN' });
    await expect(events.requireKnown(5)).resolves.toBeUndefined();
    await expect(events.requireKnown(7)).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    // The last event stays, so that no position is given twice.
    await engine.db.deleteFrom('deliveries').execute();
    await events.forget(ledger.now() + 9 * HOUR, all);
    expect((await events.read(0, 10)).map(({ position }) => position)).toEqual([6]);
  });

  it('continues after a restore with positions after any that a reader may have', async () => {
    const opened = await open();
    const events = openEventLog(opened);
    await opened.ledger.create(newUpload(), true);
    await giveAll(events);
    // From the lost ledger, which continued after the backup.
    const kept = 40_000;
    await expect(events.requireKnown(kept)).rejects.toMatchObject({ code: 'ERR_BAD_REQUEST' });
    await skipEventPositions(opened.engine);
    await expect(events.requireKnown(kept)).resolves.toBeUndefined();
    const late = newUpload();
    await opened.ledger.create(late, true);
    expect(await told(events, kept)).toEqual([['upload.created', late.id, late]]);
    await skipEventPositions(opened.engine);
    await skipEventPositions(opened.engine);
    expect(await told(events, kept)).toHaveLength(1);
  });
}
