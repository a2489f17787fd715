// The counters beside the uploads match the rows, whatever happens to the rows, from any number of connections.
import { sql } from 'kysely';
import { expect, it } from 'vitest';
import type { Engine } from '../../server/ledger/engine.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { QuotaExceeded, type QuotaLimits, Quotas, quotaFault, UNLIMITED, VOLUME } from '../../server/ledger/quotas.ts';
import type { UploadRow } from '../../server/ledger/upload.ts';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import { randomFrom, testSeed } from '../support/random.ts';
import { BEGIN, newUpload } from './new-upload.ts';

/** The expected counters of every scope, computed from the rows alone. */
export async function countedFromRows(engine: Engine): Promise<Map<string, Record<string, number>>> {
  const rows = await engine.db.selectFrom('uploads').selectAll().execute();
  const sums = new Map<string, Record<string, number>>();
  for (const row of rows) {
    const isUnfinished = row.state === 'receiving' || row.state === 'inspecting';
    const isKept = row.state === 'accepted' || row.state === 'removed';
    const scopes = [row.credential ?? '', row.quota, row.onVolume === 1 ? VOLUME : ''].filter((scope) => scope !== '');
    for (const scope of scopes) {
      const sum = sums.get(scope) ?? { unfinished: 0, reservedBytes: 0, storedBytes: 0, uploads: 0, bytes: 0 };
      sums.set(scope, {
        unfinished: (sum.unfinished ?? 0) + Number(isUnfinished),
        reservedBytes: (sum.reservedBytes ?? 0) + (isUnfinished ? row.reservedBytes : 0),
        storedBytes: (sum.storedBytes ?? 0) + (row.state === 'accepted' ? (row.length ?? 0) : 0),
        uploads: (sum.uploads ?? 0) + Number(isUnfinished || isKept),
        bytes: (sum.bytes ?? 0) + (isKept ? (row.length ?? 0) : isUnfinished ? row.reservedBytes : 0),
      });
    }
  }
  return withoutEmpty(sums);
}

function withoutEmpty(counts: Iterable<readonly [string, Record<string, number>]>): Map<string, Record<string, number>> {
  return new Map([...counts].filter(([, count]) => Object.values(count).some((value) => value !== 0)));
}

/** The actual counters, without empty ones. */
export async function counters(engine: Engine): Promise<Map<string, Record<string, number>>> {
  const rows = await engine.db.selectFrom('quotas').selectAll().execute();
  const counts = rows.map(({ scope, unfinished, reservedBytes, storedBytes, uploads, bytes }) => {
    return [scope, { unfinished, reservedBytes, storedBytes, uploads, bytes }] as const;
  });
  return withoutEmpty(counts);
}

/** @param open makes an empty ledger's engine that goes when the running test ends; `other` is another connection to the same ledger */
export function testQuotas(open: () => Promise<{ engine: Engine; ledger: Ledger; other(): Promise<Engine> }>): void {
  it.for([
    ['maxUnfinished', 'unfinished', { credential: null }],
    ['maxReservedBytes', 'reservedBytes', { credential: null }],
    ['maxStoredBytes', 'storedBytes', { credential: null }],
    ['maxUploads', 'uploads', { credential: 'grant:x', quota: '' }],
    ['maxBytes', 'bytes', { credential: 'grant:x', quota: '' }],
  ] as const)('a creation beyond %s is taken back as a whole, in the statement that makes it', async ([limit, exceeded, values]) => {
    const { engine, ledger } = await open();
    const limits = { [limit]: limit === 'maxUnfinished' || limit === 'maxUploads' ? 2 : 250 };
    // The limits of a credential are in the rows of its uploads.
    const own = values.credential === null ? {} : { limits: JSON.stringify(limits) };
    const create = () => {
      const upload = newUpload({ quota: 'owner:anna', reservedBytes: 100, ...own, ...values });
      return { id: upload.id, created: ledger.create(upload, true) };
    };
    if (values.credential === null) await new Quotas(engine, () => 0).limit('owner:anna', { ...UNLIMITED, ...limits });
    const kept = [create(), create()];
    for (const { created } of kept) expect(await created).toBe(true);
    const { id, created } = create();
    const error = await created.catch((fault: unknown) => fault);
    expect(quotaFault(error)).toBeInstanceOf(QuotaExceeded);
    expect(quotaFault(error)).toMatchObject({ scope: values.credential === null ? 'sender' : 'credential', exceeded });
    expect(await ledger.get(id)).toBeUndefined();
    expect(await counters(engine)).toEqual(await countedFromRows(engine));
    // An upload that ends without a file makes room for another.
    await ledger.move(kept[0]?.id as UploadId, { from: 'receiving' }, 'terminated', { expiresAt: 0 });
    expect(await create().created).toBe(true);
  });

  it('an accepted upload stays counted against its credential, also when its record is gone', async () => {
    const { engine, ledger } = await open();
    const quotas = new Quotas(engine, () => 0);
    const upload = newUpload({ quota: 'owner:anna', credential: 'grant:x', reservedBytes: 100, length: 100 });
    await ledger.create(upload, true);
    await ledger.startInspection(upload.id, 'p', BEGIN);
    await ledger.move(upload.id, { from: 'inspecting' }, 'accepted', { name: 'a.txt', type: 'text/plain' });
    expect(await quotas.get('owner:anna')).toMatchObject({ unfinished: 0, reservedBytes: 0, storedBytes: 100 });
    await ledger.move(upload.id, { from: 'accepted' }, 'removed', { expiresAt: 0 });
    expect(await ledger.forget(upload.id, 1)).toBe(true);
    expect(await quotas.get('owner:anna')).toMatchObject({ unfinished: 0, reservedBytes: 0, storedBytes: 0 });
    expect(await quotas.get('grant:x')).toMatchObject({ uploads: 1, bytes: 100 });
  });

  it('a lowered limit refuses new uploads, and no verdict', async () => {
    const { engine, ledger } = await open();
    const quotas = new Quotas(engine, () => 0);
    const upload = newUpload({ quota: 'owner:anna', reservedBytes: 100, length: 100 });
    await ledger.create(upload, true);
    await quotas.limit('owner:anna', { ...UNLIMITED, maxUnfinished: 0, maxReservedBytes: 1, maxStoredBytes: 1 });
    expect(await ledger.startInspection(upload.id, 'p', BEGIN)).toBeDefined();
    expect(await ledger.move(upload.id, { from: 'inspecting' }, 'accepted', { name: 'a.txt', type: 'text/plain' })).toBeDefined();
  });

  it('the limits of an address stay while an upload may be about to be counted, and go later', async () => {
    const { engine, ledger } = await open();
    let now = 1_000_000;
    const quotas = new Quotas(engine, () => now);
    await quotas.limit('address:a', { ...UNLIMITED, maxUnfinished: 1 });
    await quotas.prune();
    const create = () => ledger.create(newUpload({ quota: 'address:a', reservedBytes: 100 }), true);
    expect(await create()).toBe(true);
    await expect(create()).rejects.toThrow('quota exceeded');
    await quotas.limit('address:b', { ...UNLIMITED, maxUnfinished: 1 });
    now += 600_001;
    await quotas.prune();
    expect(await quotas.get('address:b')).toBeUndefined();
    expect(await quotas.get('address:a')).toMatchObject({ unfinished: 1, maxUnfinished: 1 });
  });

  it('of fifty simultaneous creations as many succeed as the limit allows', async () => {
    const { engine, ledger, other } = await open();
    const second = new Ledger(await other());
    const limits = JSON.stringify({ maxUploads: 7 });
    const made = await Promise.allSettled(
      Array.from({ length: 50 }, (_, n) =>
        (n % 2 === 0 ? ledger : second).create(
          newUpload({ credential: 'grant:x', limits, quota: 'owner:anna', onVolume: 1, reservedBytes: 10 }),
          true,
        ),
      ),
    );
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(7);
    expect(await counters(engine)).toEqual(await countedFromRows(engine));
  });

  it('of two credentials with one id each upload obeys the limits of its own, from any connection', async () => {
    const { ledger, other } = await open();
    const second = new Ledger(await other());
    const create = (by: Ledger, maxUploads: number, values: Partial<UploadRow> = {}) => {
      const upload = newUpload({
        credential: 'grant:x',
        limits: JSON.stringify({ maxUploads, maxBytes: 1000 }),
        reservedBytes: 10,
        ...values,
      });
      const created = by.create(upload, true).catch((error: unknown) => quotaFault(error)?.exceeded);
      return { id: upload.id, created };
    };
    const first = create(ledger, 5);
    expect(await first.created).toBe(true);
    expect(await create(second, 2).created).toBe(true);
    expect(await create(second, 2).created).toBe('uploads');
    // In one turn of the event loop, PostgreSQL gets both in one statement.
    const [third, refused] = [create(ledger, 5), create(ledger, 2)];
    expect(await third.created).toBe(true);
    expect(await refused.created).toBe('uploads');
    expect(await create(ledger, 5, { reservedBytes: 980 }).created).toBe('bytes');
    // A reservation that grows obeys them, too.
    const grown = ledger.change(first.id, { from: 'receiving' }, { reservedBytes: 990 }, false);
    expect(quotaFault(await grown.catch((error: unknown) => error))).toMatchObject({ scope: 'credential', exceeded: 'bytes' });
    // Neither a verdict nor a smaller reservation exceeds a limit.
    expect(await ledger.change(first.id, { from: 'receiving' }, { reservedBytes: 5 }, false)).toBe(true);
    expect(await ledger.startInspection(first.id, 'p', { ...BEGIN, length: 2000 })).toBeDefined();
  });

  it('limits of a sender that another connection changed are written again within a second, and at once before a refusal', async () => {
    const { engine, ledger, other } = await open();
    const [own, theirs] = [new Quotas(engine, () => 0), new Quotas(await other(), () => 0)];
    const limit = (quotas: Quotas, maxUnfinished: number, isSure?: boolean) =>
      quotas.limit('owner:anna', { ...UNLIMITED, maxUnfinished }, isSure);
    const create = () => ledger.create(newUpload({ quota: 'owner:anna' }), true);
    await limit(own, 2);
    expect(await create()).toBe(true);
    await limit(theirs, 1);
    await limit(own, 2, true);
    expect(await create()).toBe(true);
    await limit(theirs, 1);
    const written = async () => {
      await limit(own, 2);
      return (await own.get('owner:anna'))?.maxUnfinished;
    };
    await expect.poll(written, { timeout: 10_000 }).toBe(2);
  });

  it('an unused reservation lapses to the bytes received, and a used one does not', async () => {
    const { engine, ledger } = await open();
    const quotas = new Quotas(engine, () => 0);
    const idle = newUpload({ quota: 'owner:anna', onVolume: 1, reservedBytes: 1000, provenOffset: 30, reservedUntil: 50 });
    const busy = newUpload({ quota: 'owner:anna', onVolume: 1, reservedBytes: 1000, provenOffset: 30, reservedUntil: 500 });
    for (const upload of [idle, busy]) await ledger.create(upload, true);
    await quotas.releaseExpired(100, 10);
    expect(await ledger.get(idle.id)).toMatchObject({ reservedBytes: 30, reservedUntil: null });
    expect(await ledger.get(busy.id)).toMatchObject({ reservedBytes: 1000, reservedUntil: 500 });
    expect(await quotas.get(VOLUME)).toMatchObject({ unfinished: 2, reservedBytes: 1030 });
    expect(await quotas.provenBytes()).toBe(60);
    // Reserving it again is refused as a creation is.
    await quotas.limit(VOLUME, { ...UNLIMITED, maxReservedBytes: 1500 });
    const again = ledger.change(idle.id, { from: 'receiving' }, { reservedBytes: 1000 }, false);
    expect(quotaFault(await again.catch((error: unknown) => error))).toMatchObject({ scope: 'volume', exceeded: 'reservedBytes' });
  });

  it('uploads that have ended have no reservation to release, however many there are', async () => {
    const { engine, ledger } = await open();
    const quotas = new Quotas(engine, () => 0);
    const values = { quota: 'owner:anna', onVolume: 1, reservedBytes: 1000, provenOffset: 30, length: 1000 };
    for (let n = 0; n < 5; n++) {
      const ended = newUpload({ ...values, reservedUntil: n });
      await ledger.create(ended, true);
      if (n % 2 === 0) await ledger.move(ended.id, { from: 'receiving' }, 'terminated', { expiresAt: 0 });
      else await ledger.startInspection(ended.id, 'p', { ...BEGIN, length: 1000 });
    }
    const idle = newUpload({ ...values, reservedUntil: 50 });
    await ledger.create(idle, true);
    // The same full page again and again would never end.
    expect(await quotas.releaseExpired(100, 2)).toBe(1);
    expect(await ledger.get(idle.id)).toMatchObject({ reservedBytes: 30, reservedUntil: null });
    expect(await quotas.releaseExpired(100, 2)).toBe(0);
  });

  it('after a thousand random changes by two connections the sums match the rows', async () => {
    const { engine, ledger, other } = await open();
    const ledgers = [ledger, new Ledger(await other())];
    const seed = testSeed();
    console.log(`LANDFALL_TEST_SEED=${seed} repeats it.`);
    const random = randomFrom(seed);
    const pick = <T>(items: readonly T[]): T => random.pick(items);
    const limits: QuotaLimits = { ...UNLIMITED, maxUnfinished: 40, maxReservedBytes: 100_000 };
    for (const scope of ['owner:a', 'owner:b']) await new Quotas(engine, () => 0).limit(scope, limits);
    const ids: UploadId[] = [];
    const step = async () => {
      const by = pick(ledgers);
      const id = ids.length === 0 ? undefined : pick(ids);
      const bytes = random.between(0, 5000);
      const kind = random.fraction();
      if (id === undefined || kind < 0.35) {
        const values: Partial<UploadRow> = {
          quota: pick(['owner:a', 'owner:b', '']),
          credential: pick([null, 'grant:x', 'key:y']),
          onVolume: pick([0, 1]),
          length: bytes,
          reservedBytes: bytes,
          reservedUntil: pick([null, 1]),
        };
        const upload = newUpload(values);
        if (await by.create(upload, false)) ids.push(upload.id);
      } else if (kind < 0.45) await by.change(id, { from: 'receiving' }, { reservedBytes: bytes, provenOffset: bytes }, false);
      else if (kind < 0.6) await by.startInspection(id, 'p', { ...BEGIN, length: bytes });
      else if (kind < 0.7) await by.move(id, { from: 'inspecting' }, 'accepted', { name: 'a.txt', type: 'text/plain' });
      else if (kind < 0.75) await by.move(id, { from: 'inspecting' }, 'rejected', { errorCode: 'ERR_EMPTY', expiresAt: 0 });
      else if (kind < 0.8) await by.move(id, { from: 'receiving' }, 'terminated', { expiresAt: 0 });
      else if (kind < 0.85) await by.move(id, { from: 'accepted' }, 'removed', { expiresAt: null });
      else if (kind < 0.9) await new Quotas(engine, () => 0).releaseExpired(2, 3);
      else if (kind < 0.95) await by.abandon(id);
      else await by.forget(id, 1);
    };
    for (let round = 0; round < 100; round++) await Promise.allSettled(Array.from({ length: 10 }, step));
    const used = await counters(engine);
    const rows = await countedFromRows(engine);
    // Every counter has counted something.
    expect([...used.keys()].sort()).toEqual(['grant:x', 'key:y', 'owner:a', 'owner:b', VOLUME]);
    expect(used).toEqual(rows);
    const { count } = (await sql<{ count: number }>`select count(*) as count from uploads`.execute(engine.db)).rows[0] ?? { count: 0 };
    expect(Number(count)).toBeGreaterThan(50);
  });
}
