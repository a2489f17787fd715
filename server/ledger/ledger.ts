// One durable row for each upload, and the queries on it. SQLite and PostgreSQL differ only behind `Engine`.
import { UPLOAD_TRANSITIONS, type UploadState } from '../../shared/upload.ts';
import { LedgerClock } from './clock.ts';
import { type Guard, guarded, lockOf, raised } from './conditions.ts';
import { DurableChanges } from './durable-changes.ts';
import type { Engine } from './engine.ts';
import { Facts } from './facts.ts';
import { Leases } from './leases.ts';
import { migrate } from './migrate.ts';
import type { Notices } from './notices.ts';
import { RowBatches } from './row-batches.ts';
import type { RowChanges } from './row-changes.ts';
import { StateChanges } from './state-changes.ts';
import { type LeasedUpload, type MoveChanges, toUpload, type Upload, type UploadChanges, type UploadIn } from './upload.ts';
import type { UploadId } from './upload-id.ts';
import { UploadLists } from './upload-lists.ts';
import { UploadRows } from './upload-rows.ts';

/**
 * Every state change is a compare-and-set that is durable when its promise resolves, and `get` resolves to no state that is not
 * durable. A power cut may undo a change that is made without `durable`.
 *
 * While an upload is `receiving`, requests wait for its durable changes. After a time limit the request gets `NotDurable`, and the
 * change continues. An inspection waits without limit.
 */
export class Ledger {
  readonly #engine: Engine;
  readonly #clock: LedgerClock;
  readonly #rows: UploadRows;
  readonly #rowChanges: RowChanges;
  readonly #durable: DurableChanges;
  readonly #changes: StateChanges;
  readonly leases: Leases;
  readonly facts: Facts;
  /** Queries for many uploads. */
  readonly uploads: UploadLists;

  /** @param notices only where other processes change rows, too */
  constructor(engine: Engine, notices?: Notices) {
    this.#engine = engine;
    this.#clock = new LedgerClock(engine);
    this.#rows = new UploadRows(engine);
    this.#rowChanges = engine.dialect === 'postgres' ? new RowBatches(engine.db) : this.#rows;
    this.#durable = new DurableChanges(engine);
    this.leases = new Leases(engine, this.#durable);
    this.facts = new Facts(engine);
    this.uploads = new UploadLists(engine);
    this.#changes = new StateChanges((id) => this.get(id), notices);
  }

  /** True when no other process serves this ledger: staged bytes without a row belong to this process, or are left over. */
  get isAlone(): boolean {
    return this.#engine.dialect === 'sqlite';
  }

  /** Brings the tables up to date, and sets the clock. @throws LedgerTooNew */
  async migrate(): Promise<void> {
    await migrate(this.#engine);
    await this.#clock.read();
  }

  /** The ledger's time in milliseconds, by which all deadlines are set and compared. It advances only while a server runs. */
  now(): number {
    return this.#clock.now();
  }

  /** The wall-clock time of a deadline, for people and senders. It is right if a server runs until then without a pause. */
  wallTime(deadline: number): Date {
    return new Date(Date.now() + deadline - this.now());
  }

  /** Starts the ledger's clock in this process, and writes its time at this interval until `close`. */
  startClock(everyMs: number, onFault: (error: unknown) => void): void {
    this.#clock.start(everyMs, onFault);
  }

  /**
   * Adds a row. Resolves to false, and writes nothing, when the owner has used the idempotency key before, or when the holder of the
   * row's lease is dead.
   * Without `durable`, a power cut may remove the row of an upload that has no proven bytes yet.
   */
  create(upload: Upload, durable: boolean): Promise<boolean> {
    const { id, state } = upload;
    const add = () => this.#rowChanges.insert(upload);
    const confirm = (adding: Promise<boolean>) => this.#confirm(id, adding, (row) => (row ? true : undefined));
    return durable ? this.#durably(id, state, add, confirm) : confirm(this.#durable.persist(add, false));
  }

  /** @throws BrokenRow */
  async get(id: UploadId): Promise<Upload | undefined> {
    const pending = this.#durable.pending(id);
    if (pending) await pending;
    return this.#rows.select(id);
  }

  /** Finds the owner's upload that has one of these keys. */
  async findByKey(owner: string, idempotencyKeys: readonly string[]): Promise<Upload | undefined> {
    const row = await this.#engine.db
      .selectFrom('uploads')
      .selectAll()
      .where('owner', '=', owner)
      .where('idempotencyKey', 'in', idempotencyKeys)
      .executeTakeFirst();
    const pending = row && this.#durable.pending(row.id);
    return pending ? pending.then(() => this.get(row.id)) : row && toUpload(row);
  }

  /**
   * Moves an upload to another state, with an event when that state is final, and resolves to the row after the move.
   * Resolves to undefined when the guard does not match the row.
   *
   * @param known the row before, for a caller that holds its lease: only the idempotency key can have changed since
   */
  async move<From extends UploadState, To extends UploadState>(
    id: UploadId,
    guard: Guard<From>,
    to: To,
    changes: MoveChanges<From, To>,
    known?: Upload,
  ): Promise<UploadIn<To> | undefined> {
    if (!UPLOAD_TRANSITIONS[guard.from].includes(to)) throw new Error(`There is no move from ${guard.from} to ${to}.`);
    const set: UploadChanges & { state: To; updatedAt: number } = { ...changes, state: to, updatedAt: Date.now() };
    const { attempt } = guard.lease ?? {};
    const move = () => this.#rowChanges.update(id, guard, set, false, known);
    const isMove = (row: Upload | undefined) =>
      row?.state === to && (attempt === undefined ? row.updatedAt === set.updatedAt : row.attempt === attempt) ? row : undefined;
    const moved = await this.#durably(id, guard.from, move, async (moving) => {
      const confirmed = await this.#confirm(id, moving, isMove);
      if (confirmed) this.#changes.announce(confirmed);
      return confirmed;
    });
    return moved as UploadIn<To> | undefined;
  }

  /** Moves an upload from `receiving` to `inspecting`, takes the lease, counts the run. Resolves to undefined if it is not `receiving`. */
  async startInspection(id: UploadId, holder: string, changes: MoveChanges<'receiving', 'inspecting'>): Promise<LeasedUpload | undefined> {
    const set = { ...changes, state: 'inspecting' as const, updatedAt: Date.now(), leaseOwner: holder };
    const starting = this.#durable.durably(id, () => this.#rowChanges.update(id, { from: 'receiving' }, set, true));
    const started = await this.#confirm(id, starting, (row) =>
      row?.state === 'inspecting' && row.leaseOwner === holder && row.updatedAt === set.updatedAt ? row : undefined,
    );
    if (started) this.#changes.announce(started);
    return started as LeasedUpload | undefined;
  }

  /** Changes a row without changing its state. */
  async change(id: UploadId, guard: Guard, changes: UploadChanges, durable: boolean): Promise<boolean> {
    const change = async () => (await this.#rowChanges.update(id, guard, { ...changes, updatedAt: Date.now() })) !== undefined;
    return durable ? this.#durably(id, guard.from, change) : this.#durable.persist(change, false);
  }

  /**
   * Writes the progress of an upload that is `receiving`, in one statement with everything else that decides what is acknowledged.
   * `provenOffset` is raised and never lowered: a HEAD request may have proven more bytes than the body that is still being written.
   * Durable when `provenOffset` is given.
   *
   * @param lockHolder the holder of the upload's lock in the ledger: nothing is written when another process has taken the lock
   */
  checkpoint(id: UploadId, changes: UploadChanges, provenOffset?: number, lockHolder?: string): Promise<boolean> {
    if (provenOffset === undefined && lockHolder === undefined) return this.change(id, { from: 'receiving' }, changes, false);
    const proven = provenOffset ?? 0;
    const write = async () => {
      const update = guarded(this.#engine.db, id, { from: 'receiving' });
      const held = lockHolder === undefined ? update : update.where((row) => row.exists(lockOf(row, lockHolder)));
      const result = await held.set((row) => ({ ...changes, provenOffset: raised(row, proven), updatedAt: Date.now() })).executeTakeFirst();
      return result.numUpdatedRows === 1n;
    };
    return provenOffset === undefined ? this.#durable.persist(write, false) : this.#durable.durablyForRequest(id, write);
  }

  /**
   * Raises the proven offset for a caller without the lock, who found that these bytes are durable. Durable. Resolves to false, and
   * changes nothing, when the upload is not `receiving` or a chunk with an unverified checksum starts below the offset.
   */
  raiseProvenOffset(id: UploadId, provenOffset: number): Promise<boolean> {
    const prove = async () => {
      const result = await guarded(this.#engine.db, id, { from: 'receiving' })
        .where((row) => row.or([row('unverifiedFrom', 'is', null), row('unverifiedFrom', '>=', provenOffset)]))
        .set((row) => ({ provenOffset: raised(row, provenOffset), updatedAt: Date.now() }))
        .executeTakeFirst();
      return result.numUpdatedRows === 1n;
    };
    return this.#durable.durablyForRequest(id, prove);
  }

  /** Deletes the record of an ended upload whose `expiresAt` has passed. Resolves to false when there is no such record. */
  async forget(id: UploadId, now: number): Promise<boolean> {
    const result = await this.#engine.db
      .deleteFrom('uploads')
      .where('id', '=', id)
      .where('state', 'in', ['rejected', 'expired', 'terminated', 'removed'])
      .where('expiresAt', '<=', now)
      .executeTakeFirst();
    return result.numDeletedRows === 1n;
  }

  /** Deletes an empty upload without a verdict: its sender creates it again. Resolves to false when it has a verdict. */
  abandon(id: UploadId): Promise<boolean> {
    // Durable: if a power cut brought the row back without its bytes, its inspection would be retried for ever.
    return this.#durable.durablyForRequest(id, async () => {
      const result = await this.#engine.db
        .deleteFrom('uploads')
        .where('id', '=', id)
        .where('state', 'in', ['receiving', 'inspecting'])
        .where('length', '=', 0)
        .executeTakeFirst();
      return result.numDeletedRows === 1n;
    });
  }

  /** Removes the idempotency key, which counts for a day: the owner may then use it for another upload. */
  async releaseKey(id: UploadId): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ idempotencyKey: null }).where('id', '=', id).execute();
  }

  /** Calls the listeners with a state that this process found in the ledger: the answer to the change itself may have been lost. */
  announce(upload: Upload): void {
    this.#changes.announce(upload);
  }

  /** Calls the listener with the row after each change of this upload's state. Returns a function that stops this. */
  onChange(id: UploadId, listener: (upload: Upload) => void): () => void {
    return this.#changes.on(id, listener);
  }

  /** Calls the listener after a change of any upload's state in any process. A call may get lost. Returns a function that stops this. */
  onAnyChange(listener: () => void): () => void {
    return this.#changes.onAny(listener);
  }

  async close(): Promise<void> {
    await this.#clock.close();
    this.#durable.close();
    return this.#engine.close();
  }

  /** @param from the state before the change; for a new row, its first state */
  #durably<T>(id: UploadId, from: UploadState, change: () => Promise<T>, act = (durable: Promise<T>) => durable): Promise<T> {
    return from === 'receiving' ? this.#durable.durablyForRequest(id, change, act) : act(this.#durable.durably(id, change));
  }

  /**
   * Recognises a change that was made although its promise rejected: the connection was lost before the answer, or a sync failed while
   * another change was rolled back. Reads the row durably in that case.
   * @param made returns the result when the row shows this very change, otherwise undefined
   * @throws the error of `changing` when the row does not show the change, or cannot be read
   */
  async #confirm<T>(id: UploadId, changing: Promise<T>, made: (row: Upload | undefined) => T | undefined): Promise<T> {
    try {
      return await changing;
    } catch (error) {
      const look = async () => made(await this.#rows.select(id));
      const found = await this.#durable.durably(id, look).catch(() => undefined);
      if (found === undefined) throw error;
      return found;
    }
  }
}
