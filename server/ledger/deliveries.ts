// What is still to be delivered to whom. One process at a time delivers to a consumer, by lease, so nothing here is contended.
import { type RawBuilder, sql } from 'kysely';
import { briefly } from './brief-transaction.ts';
import type { Engine } from './engine.ts';
import type { EventType } from './event-tables.ts';
import type { UploadId } from './upload-id.ts';

/** An event waits so long at most for one that came before it to the same upload, and fails. */
export const HELD_FOR_MS = 3_600_000;

const PAGE = 500;
// Written out, not as a parameter: only so does a planner see that a partial index covers the query.
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
  body: string;
  attempts: number;
  failedAt: number | null;
}

export interface Failure {
  position: number;
  uploadId: UploadId;
  /** The first time, where it failed before. */
  failedAt: number;
  /** When to try again; null: given up. */
  dueAt: number | null;
  error: string;
}

export class Deliveries {
  readonly #engine: Engine;
  readonly #consumer: string;

  /** @param consumer who is told */
  constructor(engine: Engine, consumer: string) {
    this.#engine = engine;
    this.#consumer = consumer;
  }

  /** Makes it known, where it is not: what comes after `position` is for it. Durable. */
  async register(position: number): Promise<void> {
    const row = { name: this.#consumer, cursor: position, beganAfter: position, leaseOwner: null, isStopped: 0 };
    await this.#engine.db
      .insertInto('consumers')
      .values(row)
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await this.#engine.flush();
  }

  /** Undefined: it was never registered. */
  async consumer(): Promise<Consumer | undefined> {
    const row = await this.#engine.db.selectFrom('consumers').selectAll().where('name', '=', this.#consumer).executeTakeFirst();
    return row && { cursor: row.cursor, leaseOwner: row.leaseOwner, isStopped: row.isStopped === 1 };
  }

  /** Takes the lease of delivering. False: another process that lives has it. */
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

  /** Another process may take the lease at once. */
  async leave(holder: string): Promise<void> {
    const mine = this.#engine.db.updateTable('consumers').set({ leaseOwner: null }).where('name', '=', this.#consumer);
    await mine.where('leaseOwner', '=', holder).execute();
  }

  /**
   * Makes a page of events deliveries: those after the cursor, up to `last`. False: there are none, or the lease is another's.
   * A later event of an upload waits for the earlier ones.
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
    const isMoved = await briefly(this.#engine, async (transaction) => {
      const update = transaction.updateTable('consumers').set({ cursor: end }).where('name', '=', this.#consumer);
      const moved = await update.where('leaseOwner', '=', holder).where('cursor', '=', cursor).executeTakeFirst();
      if (moved.numUpdatedRows !== 1n) return false;
      await sql`
        insert into deliveries (consumer, position, "uploadId", state, attempts, "dueAt")
        select ${sql.lit(this.#consumer)}, e.position, e."uploadId", ${PENDING}, 0, case
          when e.nth > 1 then null
          when exists (select 1 from deliveries d where d."uploadId" = e."uploadId" and d.consumer = ${sql.lit(this.#consumer)}
            and d.state = ${PENDING} and d.position < e.position) then null
          else ${sql.lit(now)} end
        from (
          select position, "uploadId", row_number() over (partition by "uploadId" order by position) as nth
          from events where position > ${cursor} and position <= ${end}
        ) as e where true
        on conflict do nothing`.execute(transaction);
      return true;
    });
    if (!isMoved) return false;
    // One before it that fails already holds it for a time that is known.
    for (const uploadId of await this.#held(page.map((event) => event.uploadId))) await this.release(uploadId, now);
    return true;
  }

  /** Those whose time has come, the longest due first. */
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

  async delivered(position: number, uploadId: UploadId, now: number): Promise<void> {
    await this.#engine.db.deleteFrom('deliveries').where('consumer', '=', this.#consumer).where('position', '=', position).execute();
    await this.release(uploadId, now);
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
    await this.release(uploadId, now);
  }

  /** What failed is tried again now: its receiver is back. */
  async hasten(now: number): Promise<void> {
    await this.#engine.db
      .updateTable('deliveries')
      .set({ dueAt: now })
      .where('consumer', '=', this.#consumer)
      .where('state', '=', PENDING)
      .where('dueAt', '>', now)
      .where('attempts', '>', 0)
      .execute();
  }

  /** Says anew for each event of an upload that was not tried yet when it is due: after the one before it, but for an hour at most. */
  async release(uploadId: UploadId, now: number): Promise<void> {
    const pending = await this.#engine.db
      .selectFrom('deliveries')
      .select(['position', 'attempts', 'failedAt', 'dueAt'])
      .where('uploadId', '=', uploadId)
      .where('consumer', '=', this.#consumer)
      .where('state', '=', PENDING)
      .orderBy('position')
      .execute();
    for (const [n, delivery] of pending.entries()) {
      if (delivery.attempts > 0) continue;
      const before = pending[n - 1];
      let dueAt: number | null = Math.min(delivery.dueAt ?? now, now);
      if (before !== undefined) dueAt = before.failedAt === null ? null : before.failedAt + HELD_FOR_MS;
      if (dueAt === delivery.dueAt) continue;
      await this.#engine.db
        .updateTable('deliveries')
        .set({ dueAt })
        .where('consumer', '=', this.#consumer)
        .where('position', '=', delivery.position)
        .where('attempts', '=', 0)
        .execute();
    }
  }

  /** After the lease was taken: whoever had it may have died between an outcome and what hangs on it. */
  async releaseAll(now: number): Promise<void> {
    for (const uploadId of await this.#held()) await this.release(uploadId, now);
  }

  /** Uploads that have an event which waits for another one. */
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

  /** The receiver wants no more; what comes is kept for it. Durable. */
  async stop(): Promise<void> {
    await this.#engine.db.updateTable('consumers').set({ isStopped: 1 }).where('name', '=', this.#consumer).execute();
    await this.#engine.flush();
  }

  /** Sends again, beginning with all that is pending. False: nobody was ever registered. Durable. */
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

  /** As if it were new. Durable. */
  async again(position: number, uploadId: UploadId, now: number): Promise<void> {
    const fresh = { state: 'pending' as const, attempts: 0, failedAt: null, dueAt: now, lastError: null };
    await this.#engine.db
      .insertInto('deliveries')
      .values({ consumer: this.#consumer, position, uploadId, ...fresh })
      .onConflict((conflict) => conflict.columns(['consumer', 'position']).doUpdateSet(fresh))
      .execute();
    await this.#engine.flush();
  }
}
