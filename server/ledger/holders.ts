// The processes that hold locks and leases. Each renews one row, and with it everything it holds, in one statement; whoever
// finds a row whose time is over marks its holder dead, and what a dead one held is free. So nothing is asked of a clock when
// a lock is taken, and an owner that is dead can never be alive again: it takes another name.
import { type RawBuilder, sql } from 'kysely';
import type { Engine } from './engine.ts';

/** What a dead process may still have on its way into the ledger comes well before this. */
const REMEMBER_DEAD_MS = 60 * 60 * 1000;

export class Holders {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** A holder that nobody has heard of before, alive for `leaseMs`. */
  async enter(owner: string, leaseMs: number): Promise<void> {
    const expiresAt = this.#in(leaseMs);
    await this.#engine.db.insertInto('holders').values({ owner, expiresAt, isDead: 0 }).execute();
  }

  /** For another `leaseMs` from now on. False: others took it for dead, and may have what it held. */
  async renew(owner: string, leaseMs: number): Promise<boolean> {
    const expiresAt = this.#in(leaseMs);
    const renewal = this.#engine.db.updateTable('holders').set({ expiresAt }).where('owner', '=', owner).where('isDead', '=', 0);
    return (await renewal.executeTakeFirst()).numUpdatedRows === 1n;
  }

  /** It holds nothing any more, or nothing that others need wait for. */
  async leave(owner: string): Promise<void> {
    await this.#engine.db.updateTable('holders').set({ isDead: 1 }).where('owner', '=', owner).execute();
  }

  /** Marks those whose time is over. Resolves with all that are dead and not forgotten. */
  async bury(): Promise<string[]> {
    const { db } = this.#engine;
    await db.updateTable('holders').set({ isDead: 1 }).where('isDead', '=', 0).where('expiresAt', '<=', this.#in(0)).execute();
    const rows = await db.selectFrom('holders').select('owner').where('isDead', '=', 1).execute();
    return rows.map((row) => row.owner);
  }

  /** Whether there is one whose time is not over. */
  async isAnyAlive(): Promise<boolean> {
    const alive = this.#engine.db.selectFrom('holders').select('owner').where('isDead', '=', 0).where('expiresAt', '>', this.#in(0));
    return (await alive.limit(1).executeTakeFirst()) !== undefined;
  }

  /** Frees the leases of one that is dead, and forgets it where it is long gone and holds no lock. */
  async clear(owner: string): Promise<void> {
    const { db } = this.#engine;
    await db
      .updateTable('uploads')
      .set({ leaseOwner: null })
      .where('state', '=', sql.lit('inspecting'))
      .where('leaseOwner', '=', owner)
      .execute();
    await db
      .deleteFrom('holders')
      .where('owner', '=', owner)
      .where('isDead', '=', 1)
      .where('expiresAt', '<=', this.#in(-REMEMBER_DEAD_MS))
      .where((row) => row.not(row.exists(row.selectFrom('locks').select('uploadId').where('locks.owner', '=', owner))))
      .execute();
  }

  /** Forgets all, and every lock: for a ledger that one process alone serves, at its start. */
  async clearAll(): Promise<void> {
    await this.#engine.db.deleteFrom('locks').execute();
    await this.#engine.db.deleteFrom('holders').execute();
  }

  /** By the one clock that all share: the database's. */
  #in(ms: number): RawBuilder<number> {
    if (this.#engine.dialect === 'sqlite') return sql.val(Date.now() + ms);
    return sql`(extract(epoch from clock_timestamp()) * 1000)::bigint + ${sql.lit(ms)}`;
  }
}
