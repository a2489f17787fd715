// The leases on inspections: who runs one, and which are free to be taken up. None is renewed: it ends with its holder.
import { INSPECTING, isFree } from './conditions.ts';
import type { DurableChanges } from './durable-changes.ts';
import type { Engine } from './engine.ts';
import { type LeasedUpload, toUpload } from './upload.ts';
import type { UploadId } from './upload-id.ts';

export class Leases {
  readonly #engine: Engine;
  readonly #durable: DurableChanges;

  constructor(engine: Engine, durable: DurableChanges) {
    this.#engine = engine;
    this.#durable = durable;
  }

  /**
   * Takes the lease of an inspection and counts the attempt, before it begins. Undefined: someone else holds it, it is
   * not time yet, or the upload is not inspecting. A lease of one's own is free: it is left from an attempt whose end could not
   * be written, or whose beginning was not heard of. Nothing crashed then, and no strike is counted again.
   *
   * @param now undefined: the caller's own timer says that it is time
   */
  async claim(id: UploadId, holder: string, now?: number): Promise<LeasedUpload | undefined> {
    const free = this.#engine.db
      .updateTable('uploads')
      .set((row) => ({
        attempt: row('attempt', '+', 1),
        strikes: row
          .case()
          .when('leaseOwner', '=', holder)
          .then(row.ref('strikes'))
          .else(row('strikes', '+', 1))
          .end(),
        leaseOwner: holder,
        retryAt: null,
      }))
      .where('id', '=', id)
      .where('state', '=', INSPECTING)
      .where((row) => row.or([isFree(row), row('leaseOwner', '=', holder)]));
    const due = now === undefined ? free : free.where((row) => row.or([row('retryAt', 'is', null), row('retryAt', '<=', now)]));
    const row = await this.#durable.durably(id, () => due.returningAll().executeTakeFirst());
    return row && (toUpload(row) as LeasedUpload);
  }

  /** Uncounts what one holder's running inspections were counted as, should they not come to an end. */
  async forgive(holder: string): Promise<void> {
    await this.#engine.db
      .updateTable('uploads')
      .set((row) => ({ strikes: row('strikes', '-', 1) }))
      .where('state', '=', INSPECTING)
      .where('leaseOwner', '=', holder)
      .where('strikes', '>', 0)
      .execute();
    await this.#engine.flush();
  }

  /** Voids all leases: for a ledger that one process alone serves, at its start. */
  async releaseAll(): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ leaseOwner: null, retryAt: null }).where('state', '=', INSPECTING).execute();
  }

  /** Inspections whose lease one holder has. */
  async of(holder: string): Promise<UploadId[]> {
    const rows = await this.#engine.db
      .selectFrom('uploads')
      .select('id')
      .where('state', '=', INSPECTING)
      .where('leaseOwner', '=', holder)
      .execute();
    return rows.map((row) => row.id);
  }

  /** Inspections that nobody runs and whose time has come. */
  async due(now: number, limit: number): Promise<UploadId[]> {
    const rows = await this.#engine.db
      .selectFrom('uploads')
      .select('id')
      .where('state', '=', INSPECTING)
      .where(isFree)
      .where((row) => row.or([row('retryAt', 'is', null), row('retryAt', '<=', now)]))
      .limit(limit)
      .execute();
    return rows.map((row) => row.id);
  }
}
