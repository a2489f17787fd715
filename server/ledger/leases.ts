// The leases on inspections: which process runs an inspection, and which inspections no process runs. A lease is not renewed: it ends
// with its holder.
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
   * Takes the lease of an inspection and counts the run before it starts. Resolves to undefined when another process holds the lease,
   * the run is not due, or the upload is not `inspecting`. The holder may take its own lease again: that lease is left over from a run
   * whose end could not be written, or whose start was not confirmed. No process crashed in that case, so no strike is added.
   *
   * @param now undefined: take the lease whatever `retryAt` says, because the caller's own timer has fired
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

  /** Takes back the strike of each inspection that this holder runs, since a planned shutdown may cut it short. */
  async takeBackStrikes(holder: string): Promise<void> {
    await this.#engine.db
      .updateTable('uploads')
      .set((row) => ({ strikes: row('strikes', '-', 1) }))
      .where('state', '=', INSPECTING)
      .where('leaseOwner', '=', holder)
      .where('strikes', '>', 0)
      .execute();
    await this.#engine.flush();
  }

  /** Frees all leases. Call at the start of a process that serves the ledger alone. */
  async releaseAll(): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ leaseOwner: null, retryAt: null }).where('state', '=', INSPECTING).execute();
  }

  /** Inspections whose lease this holder holds. */
  async of(holder: string): Promise<UploadId[]> {
    const rows = await this.#engine.db
      .selectFrom('uploads')
      .select('id')
      .where('state', '=', INSPECTING)
      .where('leaseOwner', '=', holder)
      .execute();
    return rows.map((row) => row.id);
  }

  /** Inspections that are due and that no process runs. */
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
