// Deliveries of events to one consumer that are pending or were given up. One process at a time holds the consumer's lease and
// delivers, so no two processes change the same row.
import { type RawBuilder, sql } from 'kysely';
import { inBriefTransaction } from './brief-transaction.ts';
import type { Engine } from './engine.ts';
import type { EventType } from './event-tables.ts';
import type { UploadId } from './upload-id.ts';

/** The longest time for which an event waits for a failing earlier event of the same upload. */
export const HELD_FOR_MS = 3_600_000;

const PAGE = 500;
// A literal, not a parameter: otherwise the query planner cannot use the partial indexes.
const PENDING: RawBuilder<'pending'> = sql.lit('pending');

export interface Consumer {
  cursor: number;
  leaseOwner: string | null;
  isStopped: boolean;
}

export interface DueDelivery {
  position: number;
  uploadId: UploadId;
  id: string;
  type: EventType;
  /** Null: `EventLog.withBodies` makes it. */
  body: string | null;
  attempts: number;
  failedAt: number | null;
}

/** A delivery that can be sent. */
export type CompleteDelivery = DueDelivery & { body: string };

export interface Failure {
  position: number;
  uploadId: UploadId;
  /** Time of the delivery's first failure. */
  failedAt: number;
  /** Time of the next try; null: given up. */
  dueAt: number | null;
  error: string;
}

export class Deliveries {
  readonly #engine: Engine;
  readonly #consumer: string;

  /** @param consumer name of the receiver: `webhook` or `handler` */
  constructor(engine: Engine, consumer: string) {
    this.#engine = engine;
    this.#consumer = consumer;
  }

  /** Adds the consumer if it is new: it then receives the events after `position`. Durable. */
  async register(position: number): Promise<void> {
    const row = { name: this.#consumer, cursor: position, beganAfter: position, leaseOwner: null, isStopped: 0 };
    await this.#engine.db
      .insertInto('consumers')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await this.#engine.flush();
  }

  /** Resolves to undefined when the consumer was never registered. */
  async consumer(): Promise<Consumer | undefined> {
    const row = await this.#engine.db.selectFrom('consumers').selectAll().where('name', '=', this.#consumer).executeTakeFirst();
    return row && { cursor: row.cursor, leaseOwner: row.leaseOwner, isStopped: row.isStopped === 1 };
  }

  /** Takes the consumer's lease. Resolves to false when another living process holds it. */
  async take(holder: string, isAlone: boolean): Promise<boolean> {
    const all = this.#engine.db.updateTable('consumers').set({ leaseOwner: holder }).where('name', '=', this.#consumer);
    const free = all.where((row) =>
      row.or([
        row('leaseOwner', 'is', null),
        row.exists(
          row.selectFrom('holders').select('isDead').whereRef('holders.owner', '=', 'consumers.leaseOwner').where('isDead', '=', 1),
        ),
      ]),
    );
    const { numUpdatedRows } = await (isAlone ? all : free).executeTakeFirst();
    return numUpdatedRows === 1n;
  }

  /** Gives the lease back. */
  async leave(holder: string): Promise<void> {
    const mine = this.#engine.db.updateTable('consumers').set({ leaseOwner: null }).where('name', '=', this.#consumer);
    await mine.where('leaseOwner', '=', holder).execute();
  }

  /**
   * Adds a delivery for each event of the next page: after the cursor, up to `last`. Resolves to false when there are no such events
   * or another process holds the lease. A later event of an upload waits for the earlier ones.
   */
  async enqueue(holder: string, cursor: number, last: number, now: number): Promise<boolean> {
    const { db } = this.#engine;
    const page = await db
      .selectFrom('events')
      .select(['position', 'uploadId'])
      .where('position', '>', cursor)
      .where('position', '<=', last)
      .orderBy('position')
      .limit(PAGE)
      .execute();
    const end = page.at(-1)?.position;
    if (end === undefined || end === null) return false;
    const isMoved = await inBriefTransaction(this.#engine, async (transaction) => {
      const update = transaction.updateTable('consumers').set({ cursor: end }).where('name', '=', this.#consumer);
      const moved = await update.where('leaseOwner', '=', holder).where('cursor', '=', cursor).executeTakeFirst();
      if (moved.numUpdatedRows !== 1n) return false;
      await sql`
        insert into deliveries (consumer, position, "uploadId", state, attempts, "dueAt")
        select ${sql.lit(this.#consumer)}, e.position, e."uploadId", ${PENDING}, 0, case
          when row_number() over (partition by e."uploadId" order by e.position) > 1 then null
          when exists (select 1 from deliveries d where d."uploadId" = e."uploadId" and d.consumer = ${sql.lit(this.#consumer)}
            and d.state = ${PENDING} and d.position < e.position) then null
          else ${sql.lit(now)} end
        from events e where e.position > ${cursor} and e.position <= ${end}
        on conflict do nothing`.execute(transaction);
      return true;
    });
    if (!isMoved) return false;
    // An earlier event that already failed has a known deadline, after which the waiting event becomes due.
    await this.release(await this.#held(page.map((event) => event.uploadId)), now);
    return true;
  }

  /** Deliveries that are due, the longest due first. */
  due(now: number, limit: number): Promise<DueDelivery[]> {
    return this.#engine.db
      .selectFrom('deliveries')
      .innerJoin('events', 'events.position', 'deliveries.position')
      .select(['deliveries.position', 'deliveries.uploadId', 'deliveries.attempts', 'deliveries.failedAt'])
      .select(['events.id', 'events.type', 'events.body'])
      .where('deliveries.consumer', '=', this.#consumer)
      .where('deliveries.state', '=', PENDING)
      .where('deliveries.dueAt', '<=', now)
      .orderBy('deliveries.dueAt')
      .orderBy('deliveries.position')
      .limit(limit)
      .execute() as Promise<DueDelivery[]>;
  }

  /** Records deliveries that the receiver accepted. */
  async delivered(done: readonly Pick<DueDelivery, 'position' | 'uploadId'>[], now: number): Promise<void> {
    const positions = done.map(({ position }) => position);
    await this.#engine.db.deleteFrom('deliveries').where('consumer', '=', this.#consumer).where('position', 'in', positions).execute();
    await this.release(
      done.map(({ uploadId }) => uploadId),
      now,
    );
  }

  async failed({ position, uploadId, failedAt, dueAt, error }: Failure, now: number): Promise<void> {
    await this.#engine.db
      .updateTable('deliveries')
      .set((row) => ({
        attempts: row('attempts', '+', 1),
        state: dueAt === null ? 'failed' : 'pending',
        failedAt,
        dueAt,
        lastError: error,
      }))
      .where('consumer', '=', this.#consumer)
      .where('position', '=', position)
      .execute();
    await this.release([uploadId], now);
  }

  /** Makes failed deliveries due now: their receiver answers again. */
  async retryNow(now: number): Promise<void> {
    await this.#engine.db
      .updateTable('deliveries')
      .set({ dueAt: now })
      .where('consumer', '=', this.#consumer)
      .where('state', '=', PENDING)
      .where('dueAt', '>', now)
      .where('attempts', '>', 0)
      .execute();
  }

  /**
   * Sets when each untried event of these uploads is due: the first one of an upload now, each later one an hour after the first
   * failure of the event before it. Until that event fails, the later one has no due time.
   */
  async release(uploadIds: readonly UploadId[], now: number): Promise<void> {
    if (uploadIds.length === 0) return;
    const pending = await this.#engine.db
      .selectFrom('deliveries')
      .select(['position', 'uploadId', 'attempts', 'failedAt', 'dueAt'])
      .where('uploadId', 'in', uploadIds)
      .where('consumer', '=', this.#consumer)
      .where('state', '=', PENDING)
      .orderBy('uploadId')
      .orderBy('position')
      .execute();
    const changed = new Map<number | null, number[]>();
    for (const [n, delivery] of pending.entries()) {
      if (delivery.attempts > 0) continue;
      const before = pending[n - 1];
      let dueAt: number | null = Math.min(delivery.dueAt ?? now, now);
      if (before?.uploadId === delivery.uploadId) dueAt = before.failedAt === null ? null : before.failedAt + HELD_FOR_MS;
      if (dueAt !== delivery.dueAt) changed.set(dueAt, [...(changed.get(dueAt) ?? []), delivery.position]);
    }
    for (const [dueAt, positions] of changed) {
      await this.#engine.db
        .updateTable('deliveries')
        .set({ dueAt })
        .where('consumer', '=', this.#consumer)
        .where('position', 'in', positions)
        .where('attempts', '=', 0)
        .execute();
    }
  }

  /**
   * Call after taking the lease: the former holder may have died after writing an outcome and before releasing the events that waited
   * for it.
   */
  async releaseAll(now: number): Promise<void> {
    const held = await this.#held();
    for (let from = 0; from < held.length; from += PAGE) await this.release(held.slice(from, from + PAGE), now);
  }

  /** Uploads with an event that waits for an earlier one. */
  async #held(of?: readonly UploadId[]): Promise<UploadId[]> {
    if (of?.length === 0) return [];
    let query = this.#engine.db
      .selectFrom('deliveries')
      .select('uploadId')
      .distinct()
      .where('consumer', '=', this.#consumer)
      .where('state', '=', PENDING)
      .where('dueAt', 'is', null);
    if (of !== undefined) query = query.where('uploadId', 'in', of);
    return (await query.execute()).map(({ uploadId }) => uploadId);
  }

  /** Stops delivering, because the receiver asked for it. New events are kept for it. Durable. */
  async stop(): Promise<void> {
    await this.#engine.db.updateTable('consumers').set({ isStopped: 1 }).where('name', '=', this.#consumer).execute();
    await this.#engine.flush();
  }

  /** Starts delivering again, with all pending events due now. Resolves to false when the consumer was never registered. Durable. */
  async enable(now: number): Promise<boolean> {
    const update = this.#engine.db.updateTable('consumers').set({ isStopped: 0 }).where('name', '=', this.#consumer);
    const { numUpdatedRows } = await update.executeTakeFirst();
    await this.#engine.db
      .updateTable('deliveries')
      .set({ dueAt: now, failedAt: null })
      .where('consumer', '=', this.#consumer)
      .where('state', '=', PENDING)
      .where('dueAt', '>', now)
      .execute();
    await this.#engine.flush();
    return numUpdatedRows === 1n;
  }

  /** Delivers an event again, as a new delivery. Durable. */
  async redeliver(position: number, uploadId: UploadId, now: number): Promise<void> {
    const fresh = { state: 'pending' as const, attempts: 0, failedAt: null, dueAt: now, lastError: null };
    await this.#engine.db
      .insertInto('deliveries')
      .values({ consumer: this.#consumer, position, uploadId, ...fresh })
      .onConflict((conflict) => conflict.columns(['consumer', 'position']).doUpdateSet(fresh))
      .execute();
    await this.#engine.flush();
  }
}
