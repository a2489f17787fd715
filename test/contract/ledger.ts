// What every ledger does, with every engine.
import { expect, it, onTestFinished, vi } from 'vitest';
import type { DirectUploads } from '../../server/ledger/direct-uploads.ts';
import type { Holders } from '../../server/ledger/holders.ts';
import type { Ledger } from '../../server/ledger/ledger.ts';
import type { Locks } from '../../server/ledger/locks.ts';
import { BrokenRow, JUST_CREATED, type Upload, type UploadRow } from '../../server/ledger/upload.ts';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { uploadId } from '../support/upload-ids.ts';
import { BEGIN, HOUR, newUpload } from './new-upload.ts';

const A = uploadId('a');
const B = uploadId('b');

/** The values of a verdict of either kind. */
const ENDS = { name: 'name.txt', type: 'text/plain', errorCode: 'ERR_EMPTY' };

export interface LedgerUnderTest {
  ledger: Ledger;
  holders: Holders;
  locks: Locks;
  direct: DirectUploads;
  /** The same rows through another connection, as another process sees them. */
  other(): Promise<Ledger>;
  /** Types of the written events, oldest first. */
  events(uploadId: UploadId): Promise<string[]>;
}

/** @param open makes an empty ledger that goes when the running test ends */
export function testLedger(open: () => Promise<LedgerUnderTest>): void {
  async function withUpload(values: Partial<UploadRow> = {}) {
    const opened = await open();
    const upload = newUpload(values);
    expect(await opened.ledger.create(upload, true)).toBe(true);
    return { ...opened, upload, id: upload.id };
  }

  /** The row of an inspection whose first attempt is running. */
  async function withInspection(values: Partial<UploadRow> = {}) {
    const opened = await withUpload(values);
    const begun = await opened.ledger.startInspection(opened.id, 'first', BEGIN);
    return { ...opened, lease: { holder: 'first', attempt: begun?.attempt ?? 0 } };
  }

  it('gives back what was created, numbers beyond 32 bits and every character included', async () => {
    const { ledger, upload, other } = await withUpload({
      length: 2 ** 52,
      checksum: 2 ** 32 - 1,
      metadata: 'filename eA==,empty',
      originalName: '“Zoë” 🎬 \u202e.mp4',
      idempotencyKey: 'key',
    });
    expect(await ledger.get(upload.id)).toEqual(upload);
    expect(await (await other()).get(upload.id)).toEqual(upload);
    expect(await ledger.get(uploadId('0'))).toBeUndefined();
  });

  it('returns no row that lacks a column of its state, and returns all others', async () => {
    const { ledger } = await open();
    const broken: UploadRow[] = [
      { ...JUST_CREATED, ...newUpload(), state: 'inspecting', target: null },
      { ...JUST_CREATED, ...newUpload(), state: 'accepted', name: null, expiresAt: 1 },
      { ...JUST_CREATED, ...newUpload({ state: 'accepted' }), type: null, expiresAt: 2 },
      { ...JUST_CREATED, ...newUpload(), state: 'rejected', errorCode: null, expiresAt: 3 },
      { ...JUST_CREATED, ...newUpload(), state: 'unheard of' as 'receiving', expiresAt: 4 },
    ];
    const right = newUpload({ state: 'rejected', expiresAt: 5 });
    for (const row of [...broken, right]) await ledger.create(row as Upload, true);
    for (const { id } of broken) await expect(ledger.get(id)).rejects.toThrow(BrokenRow);
    expect(await ledger.get(right.id)).toEqual(right);
    await expect(ledger.leases.claim(broken[0]?.id ?? A, 'p1')).rejects.toThrow('has no target');
    expect(await ledger.uploads.expired(Date.now(), 10)).toEqual([...broken.slice(1).map(({ id }) => id), right.id]);
    expect(await ledger.uploads.newest({ limit: 10 })).toHaveLength(broken.length + 1);
  });

  it('has a clock of its own that advances while it is served, whatever the wall clock says', async () => {
    const { ledger, other } = await open();
    const begun = ledger.now();
    expect(Math.abs(begun - Date.now())).toBeLessThan(HOUR);
    ledger.startClock(10, () => undefined);
    vi.useFakeTimers({ toFake: ['Date'] });
    onTestFinished(() => void vi.useRealTimers());
    let before = begun;
    for (const ahead of [200 * HOUR, -5 * HOUR, 9000 * HOUR, 0]) {
      vi.setSystemTime(begun + ahead);
      // Written down, and read by a later process.
      await expect.poll(async () => (await other()).now()).toBeGreaterThan(before);
      const now = ledger.now();
      expect(now).toBeGreaterThan(before);
      expect(now - begun).toBeLessThan(HOUR);
      expect(Math.abs(ledger.wallTime(now + HOUR).getTime() - (begun + ahead + HOUR))).toBeLessThan(HOUR / 2);
      before = now;
    }
  });

  it('has one clock for all processes that serve it: the one that is furthest', async () => {
    const { ledger, other } = await open();
    const late = await other();
    // Both are in this one thread, where two simultaneous writers to SQLite wait for each other until they fail.
    ledger.startClock(300, () => undefined);
    await expect.poll(async () => (await other()).now()).toBeGreaterThan(late.now());
    late.startClock(470, () => undefined);
    await expect.poll(() => ledger.now() - late.now()).toBeLessThan(1000);
    const now = ledger.now();
    await expect.poll(() => late.now()).toBeGreaterThan(now);
  });

  it('takes an idempotency key once from each owner, until it is released', async () => {
    const { ledger, upload } = await withUpload({ idempotencyKey: 'key' });
    const again = newUpload({ idempotencyKey: 'key' });
    expect(await ledger.create(again, true)).toBe(false);
    expect(await ledger.get(again.id)).toBeUndefined();
    expect(await ledger.create(newUpload({ idempotencyKey: 'key', owner: 'another' }), false)).toBe(true);
    expect((await ledger.findByKey('somebody', ['key']))?.id).toBe(upload.id);
    expect(await ledger.findByKey('nobody', ['key'])).toBeUndefined();
    await ledger.releaseKey(upload.id);
    expect(await ledger.findByKey('somebody', ['key'])).toBeUndefined();
    expect(await ledger.create(again, true)).toBe(true);
  });

  it('finds direct uploads when they are due, until they are not receiving any more', async () => {
    const { ledger, direct } = await open();
    const now = Date.now();
    const rows = [2, 1, 3, null, 10_000].map((due) => newUpload({ directDueAt: due && now - 5000 + due, updatedAt: 1 }));
    for (const row of rows) await ledger.create(row, true);
    const due = async () => (await direct.due(now, 10)).map(({ id }) => rows.findIndex((row) => row.id === id));
    expect(await due()).toEqual([1, 0, 2]);
    expect(await direct.due(now, 1)).toEqual([rows[1]]);
    await direct.lookAgain(rows[1]?.id ?? A, now + 1);
    expect(await ledger.get(rows[1]?.id ?? A)).toEqual({ ...rows[1], directDueAt: now + 1 });
    await ledger.startInspection(rows[0]?.id ?? A, 'p1', BEGIN);
    expect(await due()).toEqual([2]);
  });

  it('lets one of many callers win each move, with one event for a verdict', async () => {
    const { ledger, id, other, events } = await withInspection();
    const moves = Array.from({ length: 20 }, (_, n) =>
      ledger.move(id, { from: 'inspecting' }, n % 3 === 1 ? 'accepted' : 'rejected', ENDS),
    );
    const won = (await Promise.all(moves)).filter((row) => row !== undefined);
    expect(won).toHaveLength(1);
    expect(await (await other()).move(id, { from: 'inspecting' }, 'accepted', ENDS)).toBeUndefined();
    expect((await ledger.get(id))?.state).toBe(won[0]?.state);
    expect(await events(id)).toEqual(['upload.created', `upload.${won[0]?.state}`]);
  });

  it('refuses moves that are not in the state machine', async () => {
    const { ledger, id } = await withUpload();
    await expect(ledger.move(id, { from: 'receiving' }, 'accepted', { ...BEGIN, ...ENDS })).rejects.toThrow('no move');
    await expect(ledger.move(id, { from: 'accepted' }, 'receiving', {})).rejects.toThrow('no move');
    await expect(ledger.move(id, { from: 'rejected' }, 'removed', { ...BEGIN, ...ENDS })).rejects.toThrow('no move');
    expect((await ledger.get(id))?.state).toBe('receiving');
  });

  it('begins an inspection once, with its lease taken and its attempt counted', async () => {
    const { ledger, id } = await withUpload({ length: null });
    const inspectionStarts = Array.from({ length: 5 }, (_, n) =>
      ledger.startInspection(id, `p${n}`, { ...BEGIN, length: 7, held: 'length' }),
    );
    const begun = (await Promise.all(inspectionStarts)).filter((row) => row !== undefined);
    expect(begun).toHaveLength(1);
    expect(begun[0]).toMatchObject({ state: 'inspecting', length: 7, held: 'length', attempt: 1, strikes: 1 });
    expect(await ledger.get(id)).toEqual(begun[0]);
  });

  it('lets only the latest attempt of the lease write its outcome', async () => {
    const { ledger, holders, id, lease } = await withInspection();
    expect(await ledger.leases.claim(id, 'second', Date.now())).toBeUndefined();
    await holders.register('first', HOUR);
    expect(await ledger.leases.claim(id, 'second', Date.now())).toBeUndefined();
    await holders.markDead('first');
    // No process has taken it over yet, but the lease is lost already.
    expect(await ledger.move(id, { from: 'inspecting', lease }, 'accepted', ENDS)).toBeUndefined();
    expect((await ledger.leases.claim(id, 'second', Date.now()))?.attempt).toBe(2);
    expect(await ledger.change(id, { from: 'inspecting', lease }, { strikes: 0 }, true)).toBe(false);
    expect(await ledger.move(id, { from: 'inspecting', lease }, 'accepted', ENDS)).toBeUndefined();
    expect(await ledger.move(id, { from: 'inspecting', lease: { holder: 'first', attempt: 2 } }, 'accepted', ENDS)).toBeUndefined();
    expect(await ledger.move(id, { from: 'inspecting', lease: { holder: 'second', attempt: 2 } }, 'accepted', ENDS)).toMatchObject({
      attempt: 2,
    });
  });

  it('gives a lease to one of many claimants, when it is free and due', async () => {
    const { ledger, id, lease } = await withInspection();
    const now = Date.now();
    await ledger.change(id, { from: 'inspecting', lease }, { leaseOwner: null, retryAt: now + 1000 }, true);
    expect(await ledger.leases.claim(id, 'early', now)).toBeUndefined();
    expect(await ledger.leases.due(now, 10)).toEqual([]);
    expect(await ledger.leases.due(now + 1000, 10)).toEqual([id]);
    const claims = await Promise.all(Array.from({ length: 10 }, (_, n) => ledger.leases.claim(id, `p${n}`, now + 1000)));
    const won = claims.filter((row) => row !== undefined);
    expect(won).toHaveLength(1);
    expect(won[0]).toMatchObject({ attempt: 2, strikes: 2, retryAt: null });
    expect(await ledger.leases.due(now + 1000, 10)).toEqual([]);
  });

  it('gives a lease back to its own holder without counting a strike, because nothing crashed', async () => {
    const { ledger, id } = await withInspection();
    expect(await ledger.leases.of('first')).toEqual([id]);
    expect(await ledger.leases.claim(id, 'first', Date.now())).toMatchObject({ attempt: 2, strikes: 1 });
    expect(await ledger.leases.of('second')).toEqual([]);
    await ledger.change(id, { from: 'inspecting' }, { leaseOwner: null }, true);
    expect(await ledger.leases.of('first')).toEqual([]);
    expect(await ledger.leases.claim(id, 'first', Date.now())).toMatchObject({ attempt: 3, strikes: 2 });
  });

  it('releases the locks of a holder when its time is over, and never lets it renew again', async () => {
    const { ledger, holders, locks, id } = await withInspection();
    const mine = newUpload();
    await ledger.create(mine, false);
    await holders.register('second', HOUR);
    await ledger.startInspection(mine.id, 'second', BEGIN);
    await holders.register('first', 1);
    expect(await locks.take(A, 'first', 'boot')).toEqual({ boot: 'boot' });
    await new Promise((resolve) => setTimeout(resolve, 5));
    expect(await ledger.leases.due(Date.now(), 10), 'a lease was due before its holder was expired').toEqual([]);
    expect(await holders.expireSilent()).toEqual(['first']);
    expect(await ledger.leases.due(Date.now(), 10)).toEqual([id]);
    expect(await holders.renew('first', HOUR)).toBe(false);
    expect(await holders.renew('second', HOUR)).toBe(true);
    await holders.clear('first');
    expect(await ledger.get(id)).toMatchObject({ leaseOwner: null });
    expect(await ledger.get(mine.id)).toMatchObject({ leaseOwner: 'second' });
    expect(await locks.of('first', 10)).toEqual([A]);
    expect(await holders.expireSilent(), 'the silent holder was not expired').toEqual(['first']);
    await holders.clearAll();
    await ledger.leases.releaseAll();
    expect(await holders.expireSilent()).toEqual([]);
    expect((await ledger.leases.due(Date.now(), 10)).sort()).toEqual([id, mine.id].sort());
  });

  it('does not take a holder for dead that renews in time', async () => {
    const { holders } = await open();
    await holders.register('first', 1);
    expect(await holders.renew('first', HOUR)).toBe(true);
    expect(await holders.expireSilent()).toEqual([]);
  });

  it('gives a lock to one of many, and to the next once it is released or its holder is dead', async () => {
    const { holders, locks, other } = await open();
    for (const holder of ['p0', 'p1', 'p2', 'p3', 'p4']) await holders.register(holder, HOUR);
    const taken = await Promise.all([0, 1, 2, 3, 4].map((n) => locks.take(A, `p${n}`, 'boot')));
    const holder = taken.findIndex((lock) => lock !== undefined);
    expect(taken.filter((lock) => lock !== undefined)).toHaveLength(1);
    const next = `p${(holder + 1) % 5}`;
    const after = `p${(holder + 2) % 5}`;
    await (await other()).get(A);
    await locks.release(A, next, 0);
    expect(await locks.take(A, next, 'boot')).toBeUndefined();
    expect(await locks.take(A, `p${holder}`, 'boot'), 'a holder was refused its own lock').toEqual({ boot: 'boot' });
    expect(await locks.take(B, next, 'boot')).toEqual({ boot: 'boot' });
    await locks.release(A, `p${holder}`, 0);
    expect(await locks.boot(A)).toBeUndefined();
    expect(await locks.take(A, next, 'boot')).toEqual({ boot: 'boot' });
    await holders.markDead(next);
    expect(await locks.take(A, after, 'boot')).toEqual({ boot: 'boot' });
    expect(await locks.of(next, 10)).toEqual([B]);
  });

  it('remembers the boot in which a dead holder wrote, until a new holder has handled it', async () => {
    const { holders, locks } = await open();
    for (const holder of ['first', 'second', 'third']) await holders.register(holder, HOUR);
    await locks.take(A, 'first', 'old');
    await holders.markDead('first');
    expect(await locks.take(A, 'second', 'new')).toEqual({ boot: 'old' });
    await holders.markDead('second');
    expect(await locks.take(A, 'third', 'new'), 'the boot was forgotten, although the second holder died before handling it').toEqual({
      boot: 'old',
    });
    await locks.settle(A, 'third', 'new');
    expect(await locks.boot(A)).toBe('new');
    expect(await locks.take(A, 'third', 'new')).toEqual({ boot: 'new' });
  });

  it('never lowers a proven offset, and changes no upload that is not receiving', async () => {
    const { ledger, id } = await withUpload();
    await ledger.checkpoint(id, { checksum: 5, checksumOffset: 60 }, 60);
    await ledger.checkpoint(id, { checksum: 4, checksumOffset: 40 }, 40);
    expect(await ledger.get(id)).toMatchObject({ provenOffset: 60, checksum: 4, checksumOffset: 40 });
    await ledger.checkpoint(id, {}, 70);
    expect(await ledger.get(id)).toMatchObject({ provenOffset: 70, checksumOffset: 40 });
    await ledger.move(id, { from: 'receiving' }, 'terminated', {});
    expect(await ledger.checkpoint(id, {}, 80)).toBe(false);
    expect(await ledger.raiseProvenOffset(id, 80)).toBe(false);
  });

  it('accepts checkpoints only from the holder of the lock', async () => {
    const { ledger, holders, locks, id } = await withUpload();
    for (const holder of ['first', 'second']) await holders.register(holder, HOUR);
    await locks.take(id, 'first', 'boot');
    expect(await ledger.checkpoint(id, { checksum: 4, checksumOffset: 40 }, 40, 'first')).toBe(true);
    await holders.markDead('first');
    await locks.take(id, 'second', 'boot');
    expect(await ledger.checkpoint(id, { checksum: 8, checksumOffset: 80 }, 80, 'second')).toBe(true);
    expect(await ledger.checkpoint(id, { checksum: 6, checksumOffset: 60 }, 60, 'first')).toBe(false);
    expect(await ledger.checkpoint(id, { checksum: 6, checksumOffset: 60 }, undefined, 'first')).toBe(false);
    await locks.release(id, 'second', 0);
    expect(await ledger.checkpoint(id, { checksum: 6, checksumOffset: 60 }, 60, 'first')).toBe(false);
    expect(await ledger.checkpoint(id, { checksum: 6, checksumOffset: 60 }, undefined, 'first')).toBe(false);
    expect(await ledger.get(id)).toMatchObject({ provenOffset: 80, checksum: 8, checksumOffset: 80 });
  });

  it('notifies listeners of an upload about a change, once it can be read', async () => {
    const { ledger, id } = await withUpload();
    const heard: Pick<UploadRow, 'state'>[] = [];
    const stop = ledger.onChange(id, (upload) => heard.push(upload));
    const other = newUpload();
    await ledger.create(other, false);
    await ledger.move(other.id, { from: 'receiving' }, 'expired', {});
    await ledger.startInspection(id, 'first', BEGIN);
    const moved = await ledger.move(id, { from: 'inspecting' }, 'rejected', { errorCode: 'ERR_EMPTY' });
    expect(heard.map(({ state }) => state)).toEqual(['inspecting', 'rejected']);
    expect(heard[1]).toEqual(moved);
    stop();
    expect(await ledger.get(id)).toEqual(moved);
  });

  it('finds expired rows, oldest first, and deletes them only once they have ended', async () => {
    const { ledger } = await open();
    const now = Date.now();
    const rows = [
      newUpload({ expiresAt: now - 1 }),
      newUpload({ expiresAt: now - 3, state: 'rejected' }),
      newUpload({ expiresAt: now - 2, state: 'terminated' }),
      newUpload({ expiresAt: now + HOUR, state: 'expired' }),
      newUpload({ expiresAt: null, state: 'accepted' }),
    ];
    for (const row of rows) await ledger.create(row, false);
    expect(await ledger.uploads.expired(now, 10)).toEqual([rows[1]?.id, rows[2]?.id, rows[0]?.id]);
    expect(await ledger.uploads.expired(now, 1)).toHaveLength(1);
    const forgotten: boolean[] = [];
    for (const { id } of rows) forgotten.push(await ledger.forget(id, now));
    expect(forgotten).toEqual([false, true, true, false, false]);
    expect(await ledger.uploads.expired(now, 10)).toEqual([rows[0]?.id]);
  });

  it('undoes an empty upload as long as it has no verdict', async () => {
    const { ledger, id } = await withUpload({ length: 0 });
    expect(await ledger.abandon(id)).toBe(true);
    expect(await ledger.get(id)).toBeUndefined();
    const { id: full } = newUpload();
    await ledger.create(newUpload({ id: full }), false);
    expect(await ledger.abandon(full)).toBe(false);
    const decided = newUpload({ length: 0, state: 'accepted' });
    await ledger.create(decided, false);
    expect(await ledger.abandon(decided.id)).toBe(false);
  });

  it('pages through receiving uploads by id, and through all uploads newest first', async () => {
    const { ledger } = await open();
    const now = Date.now();
    // Several in one millisecond: the page must not end between them.
    const rows = Array.from({ length: 9 }, (_, n) =>
      newUpload({ createdAt: now - Math.floor(n / 3), state: n % 2 === 0 ? 'receiving' : 'expired' }),
    );
    for (const row of rows) await ledger.create(row, false);
    const receiving: string[] = [];
    for (let after = ''; ; after = receiving.at(-1) ?? '') {
      const page = await ledger.uploads.receiving(after, 2);
      receiving.push(...page.map(({ id }) => id));
      if (page.length < 2) break;
    }
    expect(receiving).toEqual(
      rows
        .filter(({ state }) => state === 'receiving')
        .map(({ id }) => id)
        .sort(),
    );
    const seen: UploadRow[] = [];
    for (;;) {
      const last = seen.at(-1);
      const page = await ledger.uploads.newest({ limit: 2, ...(last && { before: last }) });
      if (page.length === 0) break;
      seen.push(...page);
    }
    expect(seen.map(({ id }) => id).sort()).toEqual(rows.map(({ id }) => id).sort());
    expect(seen.map(({ createdAt }) => createdAt)).toEqual(rows.map(({ createdAt }) => createdAt));
    expect(await ledger.uploads.newest({ limit: 100, state: 'expired' })).toHaveLength(4);
  });

  it('keeps a fact until it is set again', async () => {
    const { ledger, other } = await open();
    expect(await ledger.facts.get('boot')).toBeUndefined();
    await ledger.facts.set('boot', 'a');
    await ledger.facts.set('boot', 'b');
    expect(await ledger.facts.get('boot')).toBe('b');
    expect(await (await other()).facts.get('boot')).toBe('b');
  });

  it('can be migrated repeatedly', async () => {
    const { ledger, upload } = await withUpload();
    await ledger.migrate();
    expect(await ledger.get(upload.id)).toEqual(upload);
  });
}
