// Cost grows with work, not with history: every query finds its rows by an index, however many there are.
import type { CompiledQuery } from 'kysely';
import { expect, it } from 'vitest';
import { Deliveries } from '../../server/ledger/deliveries.ts';
import { DirectUploads } from '../../server/ledger/direct-uploads.ts';
import type { Engine } from '../../server/ledger/engine.ts';
import { findEvent, listEvents } from '../../server/ledger/event-list.ts';
import { EventLog, skipEventPositions } from '../../server/ledger/event-log.ts';
import { Holders } from '../../server/ledger/holders.ts';
import { Ledger } from '../../server/ledger/ledger.ts';
import { Locks } from '../../server/ledger/locks.ts';
import type { UploadRow } from '../../server/ledger/upload.ts';
import { newUpload } from './new-upload.ts';

export const ROWS = 1_000_000;

/** SQL of either dialect over `n`, the number of the row: a year of history, and the present work beside it. */
const COLUMNS: Partial<Record<keyof UploadRow, string>> = {
  owner: "'somebody'",
  state: `case n % 200 when 0 then 'receiving' when 1 then 'inspecting' when 2 then 'rejected' when 3 then 'terminated' else 'accepted' end`,
  length: '1000 + n',
  held: "'byte'",
  metadata: "'filename ZmlsbS5tcDQ='",
  name: "'film.mp4'",
  target: "'2020/01/02/x'",
  errorCode: `case n % 200 when 2 then 'ERR_EMPTY' end`,
  provenOffset: '1000 + n',
  checksum: 'n',
  checksumOffset: '1000 + n',
  attempt: '1',
  strikes: '0',
  leaseOwner: `case n % 200 when 1 then 'p0' end`,
  idempotencyKey: `case when n % 200 < 4 then 'key' || n end`,
  createdAt: '1700000000000 + n',
  updatedAt: '1700000000000 + n',
  directDueAt: `case when n % 200 = 0 or n % 1000 = 7 then 1900000000000 + n end`,
  expiresAt: `case n % 200 when 0 then 1900000000000 + n when 2 then 1800000000000 + n when 3 then 1800000000000 + n end`,
};

/** `numbers` selects `n` from 1 to ROWS, `id` makes 32 hex digits of it, and `hex` 16. */
export function fillingStatements(numbers: string, id: string, hex: string): string[] {
  const names = Object.keys(COLUMNS).map((name) => `"${name}"`);
  return [
    `insert into uploads (id, ${names.join(', ')}) select ${id}, ${Object.values(COLUMNS).join(', ')} from (${numbers}) as numbers`,
    `insert into locks ("uploadId", owner, boot) select ${id}, 'p0', 'boot' from (${numbers}) as numbers where n % 4 = 0`,
    // As if each event was delivered long ago; a few still wait for a position, and a few for their receiver.
    `insert into events (id, type, "uploadId", at, upload, body, position, "givenAt") select 'evt_' || ${hex}, 'upload.created', ${id},
      1700000000000 + n, case when n > ${ROWS - 500} then '{}' end, '{}', case when n <= ${ROWS - 500} then n end, 1700000000000 + n
      from (${numbers}) as numbers order by n`,
    `insert into deliveries (consumer, position, "uploadId", state, attempts, "failedAt", "dueAt") select 'webhook', n, ${id},
      case when n % 10 = 1 then 'failed' else 'pending' end, 1, 1, case when n % 3 = 0 then 1900000000000 + n end
      from (${numbers}) as numbers where n % 100 = 1`,
    `insert into consumers (name, cursor, "beganAfter", "isStopped") values ('webhook', ${ROWS - 1000}, 0, 0)`,
    'insert into holders (owner, "expiresAt", "isDead") values (\'p0\', 9000000000000, 0), (\'p1\', 0, 1)',
  ];
}

export interface FilledLedger {
  engine: Engine;
  /** The engine's query plan, and those of its steps that scan all rows of a large table. */
  explain(query: CompiledQuery): Promise<{ plan: string; scans: string[] }>;
}

/** @param open makes a ledger of ROWS rows, its statistics up to date */
export function testPlans(open: () => Promise<FilledLedger>): void {
  // Fifteen seconds for each ledger.
  it.skipIf(process.env.LANDFALL_TEST_LONG !== '1')('finds the rows of every query by an index', { timeout: 600_000 }, async () => {
    const { engine, explain } = await open();
    const queries = new Map<string, CompiledQuery>();
    const db = engine.db.withPlugin({
      transformQuery: ({ node, queryId }) => {
        const query = engine.db.getExecutor().compileQuery(node, queryId);
        queries.set(query.sql, query);
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    await runEverything({ ...engine, db });
    expect(queries.size).toBeGreaterThan(25);
    for (const query of queries.values()) {
      const { plan, scans } = await explain(query);
      expect(scans, `${query.sql}\n${plan}`).toEqual([]);
    }
  });
}

/** Every query of the ledger, at least once. */
async function runEverything(engine: Engine): Promise<void> {
  const ledger = new Ledger(engine);
  const holders = new Holders(engine);
  const locks = new Locks(engine);
  const direct = new DirectUploads(engine);
  const upload = newUpload({ idempotencyKey: 'a key' });
  const { id } = upload;
  const now = Date.now();
  await ledger.create(upload, true);
  await ledger.get(id);
  await ledger.findByKey('somebody', ['a key']);
  await ledger.releaseKey(id);
  await ledger.change(id, { from: 'receiving' }, { unverifiedFrom: 5 }, false);
  await ledger.checkpoint(id, { checksum: 1, checksumOffset: 2 });
  await ledger.checkpoint(id, { checksum: 1, checksumOffset: 2 }, 2);
  await ledger.checkpoint(id, { checksum: 1, checksumOffset: 2 }, 2, 'p0');
  await ledger.raiseProvenOffset(id, 2);
  await ledger.uploads.receiving('', 100);
  await ledger.uploads.emptyReceiving();
  await ledger.uploads.receiving('0'.repeat(32), 100);
  await ledger.uploads.expired(now, 100);
  await direct.due(now, 100);
  await direct.lookAgain(id, now);
  await holders.register('p2', 60_000);
  await holders.renew('p2', 60_000);
  await holders.isAnyAlive();
  await locks.take(id, 'p2', 'boot');
  await locks.settle(id, 'p2', 'boot');
  await locks.boot(id);
  await locks.isHeld(id);
  await locks.release(id, 'p2', 1000);
  await locks.of('p1', 100);
  await locks.release(id, 'p2', 0);
  await ledger.startInspection(id, 'p2', { length: 100, target: '2020/01/02/x' });
  await ledger.leases.claim(id, 'p2', now);
  await ledger.leases.due(now, 100);
  await ledger.leases.of('p2');
  await ledger.leases.takeBackStrikes('p2');
  const lease = { holder: 'p2', attempt: 2 };
  await ledger.change(id, { from: 'inspecting', lease }, { strikes: 0 }, true);
  await ledger.move(id, { from: 'inspecting', lease }, 'accepted', { name: 'film.mp4', type: 'video/mp4', leaseOwner: null });
  await ledger.move(id, { from: 'accepted' }, 'removed', { expiresAt: now });
  await ledger.forget(id, now);
  await ledger.abandon(id);
  await ledger.uploads.newest({ limit: 100 });
  await ledger.uploads.newest({ limit: 100, before: { createdAt: now, id } });
  await ledger.uploads.newest({ limit: 100, state: 'accepted' });
  await ledger.uploads.newest({ limit: 100, state: 'inspecting', before: { createdAt: now, id } });
  await ledger.facts.set('boot', 'a');
  await ledger.facts.get('boot');
  const events = new EventLog({ engine, now: () => now, bodyOf: ({ upload: row }) => row });
  await events.assignPositions();
  await events.read(0, 100);
  await events.last();
  await events.requireKnown(5);
  await events.forget(0, ROWS);
  await events.forget(1700000000003, ROWS);
  await skipEventPositions(engine);
  await listEvents(engine, 'webhook', { limit: 100 });
  await listEvents(engine, 'webhook', { limit: 100, before: 500 });
  await listEvents(engine, 'webhook', { limit: 100, state: 'failed', before: 500 });
  const found = await findEvent(engine, 'webhook', `evt_${(101).toString(16).padStart(16, '0')}`);
  const deliveries = new Deliveries(engine, 'webhook');
  await deliveries.register(0);
  const consumer = await deliveries.consumer();
  await deliveries.take('p2', false);
  await deliveries.enqueue('p2', consumer?.cursor ?? 0, ROWS, now);
  await deliveries.due(now, 32);
  await deliveries.redeliver(101, found?.uploadId ?? id, now);
  await deliveries.failed({ position: 101, uploadId: found?.uploadId ?? id, failedAt: now, dueAt: now, error: 'no' }, now);
  await deliveries.delivered([{ position: 101, uploadId: found?.uploadId ?? id }], now);
  await deliveries.release([id], now);
  await deliveries.retryNow(now);
  await deliveries.stop();
  await deliveries.enable(now);
  await deliveries.leave('p2');
  await holders.markDead('p2');
  await holders.expireSilent();
  await holders.clear('p1');
}
