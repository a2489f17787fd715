// The processes that hold locks and leases. Each process renews one row, and with it all its locks and leases, in one statement. Any
// process that finds a row overdue marks its holder dead, which frees the holder's locks and leases. So taking a lock compares no
// clocks. A dead holder never comes back to life: its process registers under another name.
import { type RawBuilder, sql } from 'kysely';
import type { Engine } from './engine.ts';

/** A statement that a dead process sent reaches the ledger long before this time has passed. */
const REMEMBER_DEAD_MS = 60 * 60 * 1000;

export class Holders {
  readonly #engine: Engine;
  /** For each living holder: the last `expiresAt` this process read, and when it first read it, by its monotonic clock. */
  readonly #seen = new Map<string, { expiresAt: number; sinceMs: number }>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Adds a holder under a new name, alive for `leaseMs`. */
  async register(holder: string, leaseMs: number): Promise<void> {
    const expiresAt = this.#fromNow(leaseMs);
    await this.#engine.db.insertInto('holders').values({ owner: holder, expiresAt, leaseMs, isDead: 0 }).execute();
  }

  /**
   * Extends the lease to `leaseMs` from now. Resolves to false when another process marked this holder dead: its locks and leases are
   * lost.
   */
  async renew(holder: string, leaseMs: number): Promise<boolean> {
    const expiresAt = this.#fromNow(leaseMs);
    const renewal = this.#engine.db.updateTable('holders').set({ expiresAt, leaseMs }).where('owner', '=', holder).where('isDead', '=', 0);
    return (await renewal.executeTakeFirst()).numUpdatedRows === 1n;
  }

  /** Marks a holder dead, so that other processes need not wait for its locks and leases. */
  async markDead(holder: string): Promise<void> {
    await this.#engine.db.updateTable('holders').set({ isDead: 1 }).where('owner', '=', holder).execute();
  }

  /**
   * Marks overdue holders dead. Resolves to all dead holders that still have a row.
   *
   * A holder that this process sees for the first time is judged by the database's clock, and later by this process's monotonic clock:
   * an operator may set the database's clock. Set forward, it would make all holders dead at once; set back, it would keep a dead
   * holder's locks taken for hours.
   */
  async expireSilent(): Promise<string[]> {
    const { db } = this.#engine;
    const alive = await db
      .selectFrom('holders')
      .select(['owner', 'expiresAt', 'leaseMs'])
      .select((row) => row.case().when('expiresAt', '<=', this.#fromNow(0)).then(1).else(0).end().as('isOver'))
      .where('isDead', '=', 0)
      .execute();
    for (const holder of this.#seen.keys()) if (!alive.some((row) => row.owner === holder)) this.#seen.delete(holder);
    const nowMs = performance.now();
    for (const { owner: holder, expiresAt, leaseMs, isOver } of alive) {
      const seen = this.#seen.get(holder);
      if (seen?.expiresAt !== expiresAt) this.#seen.set(holder, { expiresAt, sinceMs: nowMs });
      const isSilent = seen === undefined || leaseMs === 0 ? isOver === 1 : seen.expiresAt === expiresAt && nowMs - seen.sinceMs > leaseMs;
      if (!isSilent) continue;
      // The condition spares a holder that was renewed meanwhile.
      const silent = db.updateTable('holders').set({ isDead: 1 }).where('owner', '=', holder).where('expiresAt', '=', expiresAt);
      await silent.where('isDead', '=', 0).execute();
    }
    const rows = await db.selectFrom('holders').select('owner').where('isDead', '=', 1).execute();
    return rows.map((row) => row.owner);
  }

  /** Resolves to true when a holder's lease has not expired. */
  async isAnyAlive(): Promise<boolean> {
    const alive = this.#engine.db.selectFrom('holders').select('owner').where('isDead', '=', 0).where('expiresAt', '>', this.#fromNow(0));
    return (await alive.limit(1).executeTakeFirst()) !== undefined;
  }

  /** Frees a dead holder's leases of inspections and deliveries. Deletes the holder once it has been dead for long and holds no lock. */
  async clear(holder: string): Promise<void> {
    const { db } = this.#engine;
    await db
      .updateTable('uploads')
      .set({ leaseOwner: null })
      .where('state', '=', sql.lit('inspecting'))
      .where('leaseOwner', '=', holder)
      .execute();
    await db.updateTable('consumers').set({ leaseOwner: null }).where('leaseOwner', '=', holder).execute();
    await db
      .deleteFrom('holders')
      .where('owner', '=', holder)
      .where('isDead', '=', 1)
      .where('expiresAt', '<=', this.#fromNow(-REMEMBER_DEAD_MS))
      .where((row) => row.not(row.exists(row.selectFrom('locks').select('uploadId').where('locks.owner', '=', holder))))
      .execute();
  }

  /** Deletes all holders and locks, and frees the leases to deliver. Call at the start of a process that serves the ledger alone. */
  async clearAll(): Promise<void> {
    await this.#engine.db.deleteFrom('locks').execute();
    await this.#engine.db.deleteFrom('holders').execute();
    await this.#engine.db.updateTable('consumers').set({ leaseOwner: null }).execute();
  }

  /** A time by the database's clock, which all processes share. */
  #fromNow(ms: number): RawBuilder<number> {
    if (this.#engine.dialect === 'sqlite') return sql.val(Date.now() + ms);
    return sql`(extract(epoch from clock_timestamp()) * 1000)::bigint + ${sql.lit(ms)}`;
  }
}
