// One durable row an upload, and every query there is on it. The engines differ only in what `Engine` says.
import { UPLOAD_TRANSITIONS, type UploadState } from '../../shared/upload.ts';
import { LedgerClock } from './clock.ts';
import { type Guard, guarded, lockOf, RECEIVING, raised } from './conditions.ts';
import { DurableChanges } from './durable-changes.ts';
import type { Engine } from './engine.ts';
import { Facts } from './facts.ts';
import { Leases } from './leases.ts';
import { migrate } from './migrate.ts';
import type { Notices } from './notices.ts';
import { RowBatches } from './row-batches.ts';
import type { RowChanges } from './row-changes.ts';
import { StateChanges } from './state-changes.ts';
import { type LeasedUpload, type MoveChanges, toUpload, type Upload, type UploadChanges, type UploadIn, type UploadRow } from './upload.ts';
import type { UploadId } from './upload-id.ts';
import { UploadRows } from './upload-rows.ts';

/**
 * Every state change is a compare-and-set that is durable when its promise resolves, and nothing reads a state before
 * it is durable. Changes that only refresh a row (`touch`) may be lost to a power cut.
 *
 * While an upload receives, requests wait for its durable changes: one that takes too long throws `NotDurable`, and goes on. An
 * inspection waits for as long as it takes.
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

  /** @param notices where other processes change rows, too */
  constructor(engine: Engine, notices?: Notices) {
    this.#engine = engine;
    this.#clock = new LedgerClock(engine);
    this.#rows = new UploadRows(engine.db);
    this.#rowChanges = engine.dialect === 'postgres' ? new RowBatches(engine.db) : this.#rows;
    this.#durable = new DurableChanges(engine);
    this.leases = new Leases(engine, this.#durable);
    this.facts = new Facts(engine);
    this.#changes = new StateChanges((id) => this.get(id), notices);
  }

  /** No other process serves from it: bytes that have no row are this one's, or left over. */
  get isAlone(): boolean {
    return this.#engine.dialect === 'sqlite';
  }

  /** Brings the tables up to date, and sets the clock. @throws LedgerTooNew */
  async migrate(): Promise<void> {
    await migrate(this.#engine);
    await this.#clock.read();
  }

  /** The time by which deadlines are written and compared: that for which the ledger was served, in milliseconds. */
  now(): number {
    return this.#clock.now();
  }

  /** When a deadline comes by the wall's clock, provided that a server runs until then: for people and senders. */
  wallTime(deadline: number): Date {
    return new Date(Date.now() + deadline - this.now());
  }

  /** From now on this process serves: its time counts, and is written down so often until `close`. */
  startClock(everyMs: number, onFault: (error: unknown) => void): void {
    this.#clock.start(everyMs, onFault);
  }

  /**
   * Adds a row. False when the owner used the idempotency key before: then nothing was written.
   * Durable only with `durable`; otherwise a power cut may forget an upload that got no bytes accepted yet.
   */
  create(upload: Upload, durable: boolean): Promise<boolean> {
    const { id, state } = upload;
    const add = () => this.#rowChanges.insert(upload);
    const heard = (adding: Promise<boolean>) => this.#heard(id, adding, (row) => (row ? true : undefined));
    return durable ? this.#durably(id, state, add, heard) : heard(this.#durable.kept(add, false));
  }

  /** @throws BrokenRow */
  async get(id: UploadId): Promise<Upload | undefined> {
    const pending = this.#durable.pending(id);
    if (pending) await pending;
    return this.#rows.select(id);
  }

  /** By any of these keys. */
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
   * Moves an upload to another state, with its event where the move ends it, and resolves with the row as it is then.
   * Undefined: the row was not as the guard says.
   */
  async move<From extends UploadState, To extends UploadState>(
    id: UploadId,
    guard: Guard<From>,
    to: To,
    changes: MoveChanges<From, To>,
  ): Promise<UploadIn<To> | undefined> {
    if (!UPLOAD_TRANSITIONS[guard.from].includes(to)) throw new Error(`There is no move from ${guard.from} to ${to}.`);
    const set: UploadChanges & { state: To; updatedAt: number } = { ...changes, state: to, updatedAt: Date.now() };
    const { attempt } = guard.lease ?? {};
    const move = () => this.#rowChanges.update(id, guard, set);
    const isMove = (row: Upload | undefined) =>
      row?.state === to && (attempt === undefined ? row.updatedAt === set.updatedAt : row.attempt === attempt) ? row : undefined;
    const moved = await this.#durably(id, guard.from, move, async (moving) => {
      const heard = await this.#heard(id, moving, isMove);
      if (heard) this.#changes.tell(heard);
      return heard;
    });
    return moved as UploadIn<To> | undefined;
  }

  /** Moves an upload that receives to `inspecting`, its first lease taken and its attempt counted. Undefined: it no longer receives. */
  async beginInspection(id: UploadId, holder: string, changes: MoveChanges<'receiving', 'inspecting'>): Promise<LeasedUpload | undefined> {
    const set = { ...changes, state: 'inspecting' as const, updatedAt: Date.now(), leaseOwner: holder };
    const beginning = this.#durable.durably(id, () => this.#rowChanges.update(id, { from: 'receiving' }, set, true));
    const begun = await this.#heard(id, beginning, (row) =>
      row?.state === 'inspecting' && row.leaseOwner === holder && row.updatedAt === set.updatedAt ? row : undefined,
    );
    if (begun) this.#changes.tell(begun);
    return begun as LeasedUpload | undefined;
  }

  /** Changes a row without moving it; durable with `durable`. */
  async change(id: UploadId, guard: Guard, changes: UploadChanges, durable: boolean): Promise<boolean> {
    const change = async () => (await this.#rowChanges.update(id, guard, { ...changes, updatedAt: Date.now() })) !== undefined;
    return durable ? this.#durably(id, guard.from, change) : this.#durable.kept(change, false);
  }

  /**
   * How far an upload that receives has come, and whatever else decides of what is acknowledged, in one statement. A proven
   * offset is raised and never lowered: whoever looks at an upload may prove more than the body that is still being written
   * has. Durable with one.
   *
   * @param lockHolder has the lock in the ledger: nothing is written once another took it, who may have come further
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
    return provenOffset === undefined ? this.#durable.kept(write, false) : this.#durable.soon(id, write);
  }

  /**
   * What is stored survives a power cut, as found by one who looks without the lock. Durable. False, and nothing is changed:
   * it no longer receives, or a chunk whose checksum is still to be looked at has come below.
   */
  prove(id: UploadId, provenOffset: number): Promise<boolean> {
    const prove = async () => {
      const result = await guarded(this.#engine.db, id, { from: 'receiving' })
        .where((row) => row.or([row('unverifiedFrom', 'is', null), row('unverifiedFrom', '>=', provenOffset)]))
        .set((row) => ({ provenOffset: raised(row, provenOffset), updatedAt: Date.now() }))
        .executeTakeFirst();
      return result.numUpdatedRows === 1n;
    };
    return this.#durable.soon(id, prove);
  }

  /** Empty uploads that nobody has inspected. */
  async emptyReceiving(): Promise<UploadId[]> {
    const { db } = this.#engine;
    const rows = await db.selectFrom('uploads').select('id').where('state', '=', RECEIVING).where('length', '=', 0).execute();
    return rows.map((row) => row.id);
  }

  /** Uploads that still receive, a page at a time in the order of their ids. */
  async receiving(after: string, limit: number): Promise<UploadIn<'receiving'>[]> {
    const rows = await this.#engine.db
      .selectFrom('uploads')
      .selectAll()
      .where('state', '=', RECEIVING)
      .where('id', '>', after as UploadId)
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => toUpload(row) as UploadIn<'receiving'>);
  }

  /** Uploads whose time is over, oldest first: unfinished ones, and records nobody need ask for any more. */
  async expired(now: number, limit: number): Promise<UploadId[]> {
    const rows = await this.#engine.db
      .selectFrom('uploads')
      .select('id')
      .where('expiresAt', 'is not', null)
      .where('expiresAt', '<=', now)
      .orderBy('expiresAt')
      .orderBy('id')
      .limit(limit)
      .execute();
    return rows.map((row) => row.id);
  }

  /** Forgets an ended upload whose time is over. False: it is not one. */
  async forget(id: UploadId, now: number): Promise<boolean> {
    const result = await this.#engine.db
      .deleteFrom('uploads')
      .where('id', '=', id)
      .where('state', 'in', ['rejected', 'expired', 'terminated', 'removed'])
      .where('expiresAt', '<=', now)
      .executeTakeFirst();
    return result.numDeletedRows === 1n;
  }

  /** Takes back an empty upload that we failed to inspect: its sender is told to create it again. False: there is a verdict. */
  abandon(id: UploadId): Promise<boolean> {
    // Durable: come back in a power cut, it would be inspected for ever, its bytes gone.
    return this.#durable.soon(id, async () => {
      const result = await this.#engine.db
        .deleteFrom('uploads')
        .where('id', '=', id)
        .where('state', 'in', ['receiving', 'inspecting'])
        .where('length', '=', 0)
        .executeTakeFirst();
      return result.numDeletedRows === 1n;
    });
  }

  /** An idempotency key counts for a day; then it may name another upload. */
  async releaseKey(id: UploadId): Promise<void> {
    await this.#engine.db.updateTable('uploads').set({ idempotencyKey: null }).where('id', '=', id).execute();
  }

  /** Newest first, a page at a time, as the database has them: for operators, who are to see a broken row, too. */
  list(options: { state?: UploadState; limit: number; before?: { createdAt: number; id: UploadId } }): Promise<UploadRow[]> {
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

  /** Tells those who listen of a state that was found, not made: whoever made it may not have heard that it did. */
  found(upload: Upload): void {
    this.#changes.tell(upload);
  }

  /** Calls back with the row after each change of this upload's state. Returns how to stop. */
  onChange(id: UploadId, listener: (upload: Upload) => void): () => void {
    return this.#changes.on(id, listener);
  }

  /** Calls back after a change of any upload's state, here or, soon, elsewhere. Hints only. Returns how to stop. */
  onAnyChange(listener: () => void): () => void {
    return this.#changes.onAny(listener);
  }

  async close(): Promise<void> {
    await this.#clock.close();
    this.#durable.close();
    return this.#engine.close();
  }

  /** @param from the state of the upload until then, or from then on where it is new */
  #durably<T>(id: UploadId, from: UploadState, change: () => Promise<T>, act = (durable: Promise<T>) => durable): Promise<T> {
    return from === 'receiving' ? this.#durable.soon(id, change, act) : act(this.#durable.durably(id, change));
  }

  /**
   * A change that failed may have been made all the same: a connection was lost before the answer, or a sync failed while
   * another's change was taken back. The row tells; what is told of it then is durable.
   * @param made says of the row whether it shows that very change; undefined: it does not
   * @throws what `changing` does, where the change was not made, or there is no telling
   */
  async #heard<T>(id: UploadId, changing: Promise<T>, made: (row: Upload | undefined) => T | undefined): Promise<T> {
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
