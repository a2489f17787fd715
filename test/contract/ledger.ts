// What every ledger does, whatever engine keeps its rows.
import { expect, it } from 'vitest';
import type { Ledger, Upload } from '../../server/ledger/ledger.ts';
import { HOUR, newUpload } from './new-upload.ts';

export interface LedgerUnderTest {
  ledger: Ledger;
  /** The same rows through another connection, as another process sees them. */
  other(): Promise<Ledger>;
  /** States of the events that were written, oldest first. */
  events(uploadId: string): Promise<string[]>;
}

/** @param open makes an empty ledger that goes when the running test ends */
export function testLedger(open: () => Promise<LedgerUnderTest>): void {
  async function withUpload(values: Partial<Upload> = {}) {
    const opened = await open();
    const upload = newUpload(values);
    expect(await opened.ledger.create(upload, true)).toBe(true);
    return { ...opened, upload, id: upload.id };
  }

  /** The row of an inspection whose first attempt is running. */
  async function withInspection(values: Partial<Upload> = {}) {
    const opened = await withUpload(values);
    const begun = await opened.ledger.beginInspection(opened.id, 'first', Date.now() + HOUR, { target: '2020/01/02/x' });
    return { ...opened, lease: { owner: 'first', attempt: begun?.attempt ?? 0 } };
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
    expect(await ledger.get('0'.repeat(32))).toBeUndefined();
  });

  it('takes an idempotency key once from each owner, until it is released', async () => {
    const { ledger, upload } = await withUpload({ idempotencyKey: 'key' });
    const again = newUpload({ idempotencyKey: 'key' });
    expect(await ledger.create(again, true)).toBe(false);
    expect(await ledger.get(again.id)).toBeUndefined();
    expect(await ledger.create(newUpload({ idempotencyKey: 'key', owner: 'another' }), false)).toBe(true);
    expect((await ledger.findByKey('somebody', 'key'))?.id).toBe(upload.id);
    expect(await ledger.findByKey('nobody', 'key')).toBeUndefined();
    await ledger.releaseKey(upload.id);
    expect(await ledger.findByKey('somebody', 'key')).toBeUndefined();
    expect(await ledger.create(again, true)).toBe(true);
  });

  it('lets one of many win each move, with one event for a verdict', async () => {
    const { ledger, id, other, events } = await withInspection();
    const moves = Array.from({ length: 20 }, (_, n) => ledger.move(id, { from: 'inspecting' }, n % 3 === 1 ? 'accepted' : 'rejected'));
    const won = (await Promise.all(moves)).filter((row) => row !== undefined);
    expect(won).toHaveLength(1);
    expect(await (await other()).move(id, { from: 'inspecting' }, 'accepted')).toBeUndefined();
    expect((await ledger.get(id))?.state).toBe(won[0]?.state);
    expect(await events(id)).toEqual([won[0]?.state]);
  });

  it('refuses moves that there are none of', async () => {
    const { ledger, id } = await withUpload();
    await expect(ledger.move(id, { from: 'receiving' }, 'accepted')).rejects.toThrow('no move');
    await expect(ledger.move(id, { from: 'accepted' }, 'receiving')).rejects.toThrow('no move');
    await expect(ledger.move(id, { from: 'rejected' }, 'removed')).rejects.toThrow('no move');
    expect((await ledger.get(id))?.state).toBe('receiving');
  });

  it('begins an inspection once, with its lease taken and its attempt counted', async () => {
    const { ledger, id } = await withUpload({ length: null });
    const beginnings = Array.from({ length: 5 }, (_, n) =>
      ledger.beginInspection(id, `p${n}`, Date.now() + HOUR, { length: 7, held: 'length' }),
    );
    const begun = (await Promise.all(beginnings)).filter((row) => row !== undefined);
    expect(begun).toHaveLength(1);
    expect(begun[0]).toMatchObject({ state: 'inspecting', length: 7, held: 'length', attempt: 1, strikes: 1 });
    expect(await ledger.get(id)).toEqual(begun[0]);
  });

  it('lets only the latest attempt of the lease write its outcome', async () => {
    const { ledger, id, lease } = await withInspection();
    const now = Date.now();
    expect(await ledger.claim(id, 'second', now, now + HOUR)).toBeUndefined();
    expect((await ledger.claim(id, 'second', now + HOUR + 1, now + 2 * HOUR))?.attempt).toBe(2);
    expect(await ledger.change(id, { from: 'inspecting', lease }, { strikes: 0 }, true)).toBe(false);
    expect(await ledger.move(id, { from: 'inspecting', lease }, 'accepted')).toBeUndefined();
    expect(await ledger.move(id, { from: 'inspecting', lease: { owner: 'first', attempt: 2 } }, 'accepted')).toBeUndefined();
    expect(await ledger.move(id, { from: 'inspecting', lease: { owner: 'second', attempt: 2 } }, 'accepted')).toMatchObject({ attempt: 2 });
  });

  it('gives a lease to one of many who ask, when nobody holds it and its time has come', async () => {
    const { ledger, id, lease } = await withInspection();
    const now = Date.now();
    await ledger.change(id, { from: 'inspecting', lease }, { leaseOwner: null, leaseExpiresAt: null, retryAt: now + 1000 }, true);
    expect(await ledger.claim(id, 'early', now, now + HOUR)).toBeUndefined();
    expect(await ledger.dueInspections(now)).toEqual([]);
    expect(await ledger.dueInspections(now + 1000)).toEqual([id]);
    const claims = await Promise.all(Array.from({ length: 10 }, (_, n) => ledger.claim(id, `p${n}`, now + 1000, now + HOUR)));
    const won = claims.filter((row) => row !== undefined);
    expect(won).toHaveLength(1);
    expect(won[0]).toMatchObject({ attempt: 2, strikes: 2, retryAt: null });
    expect(await ledger.dueInspections(now + 1000)).toEqual([]);
  });

  it('gives a lease back to its own holder: the end of that attempt could not be written', async () => {
    const { ledger, id } = await withInspection();
    expect((await ledger.claim(id, 'first', Date.now(), Date.now() + HOUR))?.attempt).toBe(2);
  });

  it('renews the leases of one holder, and voids those of an earlier boot', async () => {
    const { ledger, id } = await withInspection();
    const mine = newUpload();
    await ledger.create(mine, false);
    const later = Date.now() + 2 * HOUR;
    await ledger.beginInspection(mine.id, 'second', Date.now(), {});
    await ledger.renewLeases('second', later);
    expect((await ledger.get(mine.id))?.leaseExpiresAt).toBe(later);
    expect((await ledger.get(id))?.leaseExpiresAt).toBeLessThan(later);
    expect(await ledger.dueInspections(Date.now())).toEqual([]);
    await ledger.releaseLeases();
    expect((await ledger.dueInspections(Date.now())).sort()).toEqual([id, mine.id].sort());
  });

  it('never lowers a proven offset, and changes nothing of what no longer receives', async () => {
    const { ledger, id } = await withUpload();
    await ledger.checkpoint(id, { checksum: 5, checksumOffset: 60 }, 60);
    await ledger.checkpoint(id, { checksum: 4, checksumOffset: 40 }, 40);
    expect(await ledger.get(id)).toMatchObject({ provenOffset: 60, checksum: 4, checksumOffset: 40 });
    await ledger.checkpoint(id, {}, 70);
    expect(await ledger.get(id)).toMatchObject({ provenOffset: 70, checksumOffset: 40 });
    await ledger.move(id, { from: 'receiving' }, 'terminated');
    expect(await ledger.checkpoint(id, {}, 80)).toBe(false);
  });

  it('tells of a change to those who listen for that upload, once it can be read', async () => {
    const { ledger, id } = await withUpload();
    const heard: Upload[] = [];
    const stop = ledger.onChange(id, (upload) => heard.push(upload));
    const other = newUpload();
    await ledger.create(other, false);
    await ledger.move(other.id, { from: 'receiving' }, 'expired');
    await ledger.beginInspection(id, 'first', Date.now() + HOUR, {});
    const moved = await ledger.move(id, { from: 'inspecting' }, 'rejected', { errorCode: 'ERR_EMPTY' });
    expect(heard.map(({ state }) => state)).toEqual(['inspecting', 'rejected']);
    expect(heard[1]).toEqual(moved);
    stop();
    expect(await ledger.get(id)).toEqual(moved);
  });

  it('finds what is over, oldest first, and forgets it only once it has ended', async () => {
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
    expect((await ledger.expired(now, 10)).map(({ id }) => id)).toEqual([rows[1]?.id, rows[2]?.id, rows[0]?.id]);
    expect(await ledger.expired(now, 1)).toHaveLength(1);
    const forgotten: boolean[] = [];
    for (const { id } of rows) forgotten.push(await ledger.forget(id, now));
    expect(forgotten).toEqual([false, true, true, false, false]);
    expect((await ledger.expired(now, 10)).map(({ id }) => id)).toEqual([rows[0]?.id]);
  });

  it('takes back an empty upload as long as it has no verdict', async () => {
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

  it('pages through what receives by id, and through everything newest first', async () => {
    const { ledger } = await open();
    const now = Date.now();
    // Several in one millisecond: the page must not end between them.
    const rows = Array.from({ length: 9 }, (_, n) =>
      newUpload({ createdAt: now - Math.floor(n / 3), state: n % 2 === 0 ? 'receiving' : 'expired' }),
    );
    for (const row of rows) await ledger.create(row, false);
    const receiving: string[] = [];
    for (let after = ''; ; after = receiving.at(-1) ?? '') {
      const page = await ledger.receiving(after, 2);
      receiving.push(...page.map(({ id }) => id));
      if (page.length < 2) break;
    }
    expect(receiving).toEqual(
      rows
        .filter(({ state }) => state === 'receiving')
        .map(({ id }) => id)
        .sort(),
    );
    const seen: Upload[] = [];
    for (;;) {
      const last = seen.at(-1);
      const page = await ledger.list({ limit: 2, ...(last && { before: last }) });
      if (page.length === 0) break;
      seen.push(...page);
    }
    expect(seen.map(({ id }) => id).sort()).toEqual(rows.map(({ id }) => id).sort());
    expect(seen.map(({ createdAt }) => createdAt)).toEqual(rows.map(({ createdAt }) => createdAt));
    expect(await ledger.list({ limit: 100, state: 'expired' })).toHaveLength(4);
  });

  it('remembers a fact and tells what it was before', async () => {
    const { ledger, other } = await open();
    expect(await ledger.exchangeFact('boot', 'a')).toBeUndefined();
    expect(await ledger.exchangeFact('boot', 'b')).toBe('a');
    expect(await (await other()).exchangeFact('boot', 'c')).toBe('b');
  });

  it('can be brought up to date again and again', async () => {
    const { ledger, upload } = await withUpload();
    await ledger.migrate();
    expect(await ledger.get(upload.id)).toEqual(upload);
  });
}
