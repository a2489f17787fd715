// One durable row an upload, and every query there is on it. The engines differ only in what `Engine` says.
import { UPLOAD_TRANSITIONS, type UploadState } from '../../shared/upload.ts';
import type { Notices } from '../processes/notices.ts';
import { type Guard, guarded, INSPECTING, isFree, lockOf, RECEIVING } from './conditions.ts';
import { DurableChanges } from './durable-changes.ts';
import type { Engine } from './engine.ts';
import { migrate } from './migration.ts';
import { StateChanges } from './state-changes.ts';
import type { Upload, UploadChanges } from './upload.ts';
import { UploadRows } from './upload-rows.ts';

/**
 * Every state change is a compare-and-set that is durable when its promise resolves, and nothing reads a state before
 * it is durable. Changes that only refresh a row (`touch`) may be lost to a power cut.
 */
export class Ledger {
  readonly #engine: Engine;
  readonly #rows: UploadRows;
  readonly #durable: DurableChanges;
  readonly #changes: StateChanges;

  /** @param notices where other processes change rows, too */
  constructor(engine: Engine, notices?: Notices) {
    this.#engine = engine;
    this.#rows = new UploadRows(engine.db);
    this.#durable = new DurableChanges(engine);
    this.#changes = new StateChanges((id) => this.get(id), notices);
  }

  /** No other process serves from it: bytes that have no row are this one's, or left over. */
  get isAlone(): boolean {
    return this.#engine.dialect === 'sqlite';
  }

  /** Brings the tables up to date. @throws LedgerTooNew */
  migrate(): Promise<void> {
    return migrate(this.#engine);
  }

  /**
   * Adds a row. False when the owner used the idempotency key before: then nothing was written.
   * Durable only with `durable`; otherwise a power cut may forget an upload that got no bytes accepted yet.
   */
  create(upload: Upload, durable: boolean): Promise<boolean> {
    const add = () => this.#rows.insert(upload);
    return durable ? this.#durable.durably(upload.id, add) : this.#durable.kept(add, false);
  }

  async get(id: string): Promise<Upload | undefined> {
    const pending = this.#durable.pending(id);
    if (pending) await pending;
    const { rows } = await this.#rows.select(id);
    return rows[0];
  }

  /** By any of these keys. */
  findByKey(owner: string, idempotencyKeys: readonly string[]): Promise<Upload | undefined> {
    return this.#engine.db
      .selectFrom('uploads')
      .selectAll()
      .where('owner', '=', owner)
      .where('idempotencyKey', 'in', idempotencyKeys)
      .executeTakeFirst();
  }

  /**
   * Moves an upload to another state, with its event where the move ends it, and resolves with the row as it is then.
   * Undefined: the row was not as the guard says.
   */
  async move(id: string, guard: Guard, to: UploadState, changes: UploadChanges = {}): Promise<Upload | undefined> {
    if (!UPLOAD_TRANSITIONS[guard.from].includes(to)) throw new Error(`There is no move from ${guard.from} to ${to}.`);
    const moved = await this.#durable.durably(id, () => this.#rows.update(id, guard, { ...changes, state: to, updatedAt: Date.now() }));
    if (moved) this.#changes.tell(moved);
    return moved;
  }

  /** Moves an upload that receives to `inspecting`, its first lease taken and its attempt counted. Undefined: it no longer receives. */
  async beginInspection(id: string, leaseOwner: string, changes: UploadChanges): Promise<Upload | undefined> {
    const set = { ...changes, state: 'inspecting' as const, updatedAt: Date.now(), leaseOwner };
    const begun = await this.#durable.durably(id, () => this.#rows.update(id, { from: 'receiving' }, set, true));
    if (begun) this.#changes.tell(begun);
    return begun;
  }

  /** Changes a row without moving it; durable with `durable`. */
  async change(id: string, guard: Guard, changes: UploadChanges, durable: boolean): Promise<boolean> {
    const change = async () => (await this.#rows.update(id, guard, { ...changes, updatedAt: Date.now() })) !== undefined;
    return durable ? this.#durable.durably(id, change) : this.#durable.kept(change, false);
  }

  /**
   * How far an upload that receives has come. A proven offset is raised and never lowered: whoever looks at an upload may
   * prove more than the body that is still being written has. Durable with one.
   *
   * @param lockOwner who has the lock in the ledger: nothing is written once another took it, who may have come further
   */
  checkpoint(id: string, changes: UploadChanges, provenOffset?: number, lockOwner?: string): Promise<boolean> {
    if (provenOffset === undefined && lockOwner === undefined) return this.change(id, { from: 'receiving' }, changes, false);
    const proven = provenOffset ?? 0;
    const write = async () => {
      const update = guarded(this.#engine.db, id, { from: 'receiving' });
      const held = lockOwner === undefined ? update : update.where((row) => row.exists(lockOf(row, lockOwner)));
      const result = await held
        .set((row) => ({
          ...changes,
          provenOffset: row.case().when('provenOffset', '<', proven).then(proven).else(row.ref('provenOffset')).end(),
          updatedAt: Date.now(),
        }))
        .executeTakeFirst();
      return result.numUpdatedRows === 1n;
    };
    return provenOffset === undefined ? this.#durable.kept(write, false) : this.#durable.durably(id, write);
  }

  /**
   * Takes the lease of an inspection and counts the attempt, before it begins. Undefined: someone else holds it, it is
   * not time yet, or the upload is not inspecting.
   */
  async claim(id: string, owner: string, now: number): Promise<Upload | undefined> {
    const taken = this.#engine.db
      .updateTable('uploads')
      .set((row) => ({ attempt: row('attempt', '+', 1), strikes: row('strikes', '+', 1), leaseOwner: owner, retryAt: null }))
      .where('id', '=', id)
      .where('state', '=', INSPECTING)
      // A lease of one's own is free: it is left from an attempt whose end could not be written.
      .where((row) => row.or([isFree(row), row('leaseOwner', '=', owner)]))
      .where((row) => row.or([row('retryAt', 'is', null), row('retryAt', '<=', now)]))
      .returningAll();
    return this.#durable.durably(id, () => taken.executeTakeFirst());
  }

  /** Uncounts what one holder's running inspections were counted as, should they not come to an end. */
  async forgiveStrikes(owner: string): Promise<void> {
    await this.#engine.db
      .updateTable('uploads')
      .set((row) => ({ strikes: row('strikes', '-', 1) }))
      .where('state', '=', INSPECTING)
      .where('leaseOwner', '=', owner)
      .where('strikes', '>', 0)
      .execute();
    await this.#engine.flush();
  }

  /** Voids all leases: for a ledger that one process alone serves, at its start. */
  async releaseLeases(): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ leaseOwner: null, retryAt: null }).where('state', '=', INSPECTING).execute();
  }

  /** Inspections that nobody runs and whose time has come. */
  async dueInspections(now: number, limit: number): Promise<string[]> {
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

  /** Uploads that still receive, a page at a time in the order of their ids. */
  receiving(after: string, limit: number): Promise<Upload[]> {
    return this.#engine.db
      .selectFrom('uploads')
      .selectAll()
      .where('state', '=', RECEIVING)
      .where('id', '>', after)
      .orderBy('id')
      .limit(limit)
      .execute();
  }

  /** Rows whose time is over, oldest first: unfinished uploads, and records nobody need ask for any more. */
  expired(now: number, limit: number): Promise<Upload[]> {
    return this.#engine.db
      .selectFrom('uploads')
      .selectAll()
      .where('expiresAt', 'is not', null)
      .where('expiresAt', '<=', now)
      .orderBy('expiresAt')
      .orderBy('id')
      .limit(limit)
      .execute();
  }

  /** Forgets an ended upload whose time is over. False: it is not one. */
  async forget(id: string, now: number): Promise<boolean> {
    const result = await this.#engine.db
      .deleteFrom('uploads')
      .where('id', '=', id)
      .where('state', 'in', ['rejected', 'expired', 'terminated', 'removed'])
      .where('expiresAt', '<=', now)
      .executeTakeFirst();
    return result.numDeletedRows === 1n;
  }

  /** Takes back an empty upload that we failed to inspect: its sender is told to create it again. False: there is a verdict. */
  async abandon(id: string): Promise<boolean> {
    const result = await this.#engine.db
      .deleteFrom('uploads')
      .where('id', '=', id)
      .where('state', 'in', ['receiving', 'inspecting'])
      .where('length', '=', 0)
      .executeTakeFirst();
    return result.numDeletedRows === 1n;
  }

  /** An idempotency key counts for a day; then it may name another upload. */
  async releaseKey(id: string): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ idempotencyKey: null }).where('id', '=', id).execute();
  }

  /** Remembers a fact and resolves with what it was before. Durable. */
  async exchangeFact(key: string, value: string): Promise<string | undefined> {
    const { db } = this.#engine;
    const earlier = await db.selectFrom('facts').select('value').where('key', '=', key).executeTakeFirst();
    await db
      .insertInto('facts')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
    await this.#engine.flush();
    return earlier?.value;
  }

  /** Newest first, a page at a time; for operators. */
  list(options: { state?: UploadState; limit: number; before?: { createdAt: number; id: string } }): Promise<Upload[]> {
    let query = this.#engine.db.selectFrom('uploads').selectAll();
    const { state, before } = options;
    if (state !== undefined) query = query.where('state', '=', state);
    if (before !== undefined) {
      query = query.where((row) =>
        row.or([row('createdAt', '<', before.createdAt), row.and([row('createdAt', '=', before.createdAt), row('id', '<', before.id)])]),
      );
    }
    return query.orderBy('createdAt', 'desc').orderBy('id', 'desc').limit(options.limit).execute();
  }

  /** Calls back with the row after each change of this upload's state. Returns how to stop. */
  onChange(id: string, listener: (upload: Upload) => void): () => void {
    return this.#changes.on(id, listener);
  }

  close(): Promise<void> {
    this.#durable.close();
    return this.#engine.close();
  }
}
