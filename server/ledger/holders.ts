// The processes that hold locks and leases. Each renews one row, and with it everything it holds, in one statement; whoever
// sees that a row was not renewed in time marks its holder dead, and what a dead one held is free. So nothing is asked of a
// clock when a lock is taken, and a holder that is dead can never be alive again: it takes another name.
import { type RawBuilder, sql } from 'kysely';
import type { Engine } from './engine.ts';

/** What a dead process may still have on its way into the ledger comes well before this. */
const REMEMBER_DEAD_MS = 60 * 60 * 1000;

export class Holders {
  readonly #engine: Engine;
  /** Those alive: what was last seen of their rows, and since when by this process's steady clock. */
  readonly #seen = new Map<string, { expiresAt: number; sinceMs: number }>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** A holder that nobody has heard of before, alive for `leaseMs`. */
  async enter(holder: string, leaseMs: number): Promise<void> {
    const expiresAt = this.#in(leaseMs);
    await this.#engine.db.insertInto('holders').values({ owner: holder, expiresAt, leaseMs, isDead: 0 }).execute();
  }

  /** For another `leaseMs` from now on. False: others took it for dead, and may have what it held. */
  async renew(holder: string, leaseMs: number): Promise<boolean> {
    const expiresAt = this.#in(leaseMs);
    const renewal = this.#engine.db.updateTable('holders').set({ expiresAt, leaseMs }).where('owner', '=', holder).where('isDead', '=', 0);
    return (await renewal.executeTakeFirst()).numUpdatedRows === 1n;
  }

  /** It holds nothing any more, or nothing that others need wait for. */
  async leave(holder: string): Promise<void> {
    await this.#engine.db.updateTable('holders').set({ isDead: 1 }).where('owner', '=', holder).execute();
  }

  /**
   * Marks those whose time is over. Resolves with all that are dead and not forgotten.
   *
   * The database's clock tells of a holder that is seen for the first time. From then on it is this process's steady clock, since
   * the other may be set: forward, and all would be dead at once; back, and what the dead hold would not be free for hours.
   */
  async expireSilent(): Promise<string[]> {
    const { db } = this.#engine;
    const alive = await db
      .selectFrom('holders')
      .select(['owner', 'expiresAt', 'leaseMs'])
      .select((row) => row.case().when('expiresAt', '<=', this.#in(0)).then(1).else(0).end().as('isOver'))
      .where('isDead', '=', 0)
      .execute();
    for (const holder of this.#seen.keys()) if (!alive.some((row) => row.owner === holder)) this.#seen.delete(holder);
    const nowMs = performance.now();
    for (const { owner: holder, expiresAt, leaseMs, isOver } of alive) {
      const seen = this.#seen.get(holder);
      if (seen?.expiresAt !== expiresAt) this.#seen.set(holder, { expiresAt, sinceMs: nowMs });
      const isSilent = seen === undefined || leaseMs === 0 ? isOver === 1 : seen.expiresAt === expiresAt && nowMs - seen.sinceMs > leaseMs;
      if (!isSilent) continue;
      // Unless it was renewed since.
      const silent = db.updateTable('holders').set({ isDead: 1 }).where('owner', '=', holder).where('expiresAt', '=', expiresAt);
      await silent.where('isDead', '=', 0).execute();
    }
    const rows = await db.selectFrom('holders').select('owner').where('isDead', '=', 1).execute();
    return rows.map((row) => row.owner);
  }

  /** Whether there is one whose time is not over. */
  async isAnyAlive(): Promise<boolean> {
    const alive = this.#engine.db.selectFrom('holders').select('owner').where('isDead', '=', 0).where('expiresAt', '>', this.#in(0));
    return (await alive.limit(1).executeTakeFirst()) !== undefined;
  }

  /** Frees the leases of one that is dead, of inspections and of delivering, and forgets it where it is long gone and holds no lock. */
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
      .where('expiresAt', '<=', this.#in(-REMEMBER_DEAD_MS))
      .where((row) => row.not(row.exists(row.selectFrom('locks').select('uploadId').where('locks.owner', '=', holder))))
      .execute();
  }

  /** Forgets all, and every lock: for a ledger that one process alone serves, at its start. */
  async clearAll(): Promise<void> {
    await this.#engine.db.deleteFrom('locks').execute();
    await this.#engine.db.deleteFrom('holders').execute();
    await this.#engine.db.updateTable('consumers').set({ leaseOwner: null }).execute();
  }

  /** By the one clock that all share: the database's. */
  #in(ms: number): RawBuilder<number> {
    if (this.#engine.dialect === 'sqlite') return sql.val(Date.now() + ms);
    return sql`(extract(epoch from clock_timestamp()) * 1000)::bigint + ${sql.lit(ms)}`;
  }
}
