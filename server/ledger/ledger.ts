// One durable row an upload, and every query there is on it. The engines differ only in what `Engine` says.
import { EventEmitter } from 'node:events';
import { type CompiledQuery, type ExpressionBuilder, type InsertResult, type Kysely, type Selectable, sql, type Updateable } from 'kysely';
import { Migrator } from 'kysely/migration';
import { UPLOAD_TRANSITIONS, type UploadState } from '../../shared/upload.ts';
import type { Notices } from '../processes/notices.ts';
import { StartError } from '../start-error.ts';
import type { Engine } from './engine.ts';
import { migrations, type Schema, type UploadTable } from './schema.ts';

export type Upload = Readonly<Selectable<UploadTable>>;
export type UploadChanges = Omit<Updateable<UploadTable>, 'id' | 'owner' | 'state' | 'createdAt'>;

/** What must still be true of the row for a change to happen. */
export interface Guard {
  from: UploadState;
  /** The change belongs to this attempt of this lease holder alone. */
  lease?: { owner: string; attempt: number };
}

/** The ledger was written by a newer Landfall. */
export class LedgerTooNew extends StartError {
  override readonly name = 'LedgerTooNew';
}

/**
 * Every state change is a compare-and-set that is durable when its promise resolves, and nothing reads a state before
 * it is durable. Changes that only refresh a row (`touch`) may be lost to a power cut.
 */
export class Ledger {
  readonly #engine: Engine;
  readonly #notices: Notices | undefined;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #undurable = new Map<string, Promise<void>>();
  // The queries that every upload makes, built once: what differs are the parameters alone, and building costs several times
  // what running does.
  #select: CompiledQuery<Upload> | undefined;
  #insert: { query: CompiledQuery<InsertResult>; columns: (keyof Upload)[] } | undefined;
  readonly #updates = new Map<string, CompiledQuery<Upload>>();
  #isClosing = false;

  /** @param notices where other processes change rows, too */
  constructor(engine: Engine, notices?: Notices) {
    this.#engine = engine;
    this.#notices = notices;
    notices?.on('state', (id) => this.#lookAgain(id));
    notices?.onGap(() => {
      for (const id of this.#changes.eventNames()) this.#lookAgain(String(id));
    });
  }

  /** No other process serves from it: bytes that have no row are this one's, or left over. */
  get isAlone(): boolean {
    return this.#engine.dialect === 'sqlite';
  }

  /** Brings the tables up to date. @throws LedgerTooNew */
  async migrate(): Promise<void> {
    const provider = migrations(this.#engine.dialect);
    const migrator = new Migrator({ db: this.#engine.migrating, provider });
    const known = Object.keys(await provider.getMigrations());
    const newer = (await migrator.getMigrations().catch(() => [])).length > known.length;
    const { error } = await migrator.migrateToLatest();
    if (error instanceof Error && /corrupted migrations/.test(error.message)) {
      throw new LedgerTooNew('The ledger was written by a newer version of Landfall. Start that one.', { cause: error });
    }
    if (error || newer) throw error ?? new LedgerTooNew('The ledger was written by a newer version of Landfall.');
    await this.#engine.flush();
  }

  /**
   * Adds a row. False when the owner used the idempotency key before: then nothing was written.
   * Durable only with `durable`; otherwise a power cut may forget an upload that got no bytes accepted yet.
   */
  async create(upload: Upload, durable: boolean): Promise<boolean> {
    const columns = Object.keys(upload) as (keyof Upload)[];
    this.#insert ??= {
      columns,
      query: this.#engine.db
        .insertInto('uploads')
        .values(upload)
        .onConflict((conflict) => conflict.doNothing())
        .compile(),
    };
    const parameters = this.#insert.columns.map((column) => upload[column]);
    const insert = { ...this.#insert.query, parameters };
    const add = async () => ((await this.#engine.db.executeQuery(insert)).numAffectedRows ?? 0n) === 1n;
    return durable ? this.#durably(upload.id, add) : this.#kept(add, false);
  }

  async get(id: string): Promise<Upload | undefined> {
    const undurable = this.#undurable.get(id);
    if (undurable) await this.#waitDurable(undurable);
    this.#select ??= this.#engine.db.selectFrom('uploads').selectAll().where('id', '=', id).compile();
    const { rows } = await this.#engine.db.executeQuery<Upload>({ ...this.#select, parameters: [id] });
    return rows[0];
  }

  findByKey(owner: string, idempotencyKey: string): Promise<Upload | undefined> {
    return this.#engine.db
      .selectFrom('uploads')
      .selectAll()
      .where('owner', '=', owner)
      .where('idempotencyKey', '=', idempotencyKey)
      .executeTakeFirst();
  }

  /**
   * Moves an upload to another state, with its event where the move ends it, and resolves with the row as it is then.
   * Undefined: the row was not as the guard says.
   */
  async move(id: string, guard: Guard, to: UploadState, changes: UploadChanges = {}): Promise<Upload | undefined> {
    if (!UPLOAD_TRANSITIONS[guard.from].includes(to)) throw new Error(`There is no move from ${guard.from} to ${to}.`);
    const moved = await this.#durably(id, () => this.#update(id, guard, { ...changes, state: to, updatedAt: Date.now() }));
    if (moved) this.#tell(moved);
    return moved;
  }

  /** Moves an upload that receives to `inspecting`, its first lease taken and its attempt counted. Undefined: it no longer receives. */
  async beginInspection(id: string, leaseOwner: string, changes: UploadChanges): Promise<Upload | undefined> {
    const set = { ...changes, state: 'inspecting' as const, updatedAt: Date.now(), leaseOwner };
    const begun = await this.#durably(id, () => this.#update(id, { from: 'receiving' }, set, true));
    if (begun) this.#tell(begun);
    return begun;
  }

  /** Changes a row without moving it; durable with `durable`. */
  async change(id: string, guard: Guard, changes: UploadChanges, durable: boolean): Promise<boolean> {
    const change = async () => (await this.#update(id, guard, { ...changes, updatedAt: Date.now() })) !== undefined;
    return durable ? this.#durably(id, change) : this.#kept(change, false);
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
    return provenOffset === undefined ? this.#kept(write, false) : this.#durably(id, write);
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
    return this.#durably(id, () => taken.executeTakeFirst());
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
    this.#changes.on(id, listener);
    return () => this.#changes.off(id, listener);
  }

  #tell(upload: Upload): void {
    this.#changes.emit(upload.id, upload);
    this.#notices?.tell('state', upload.id);
  }

  /** Another process has changed it, or may have. */
  #lookAgain(id: string): void {
    if (this.#changes.listenerCount(id) === 0) return;
    // Whoever waits has a time limit, and looks for himself at its end.
    this.get(id).then(
      (upload) => {
        if (upload && upload.state !== 'receiving') this.#changes.emit(id, upload);
      },
      () => undefined,
    );
  }

  close(): Promise<void> {
    this.#isClosing = true;
    return this.#engine.close();
  }

  /** Resolves with the row as it is then; undefined when it was not as the guard says. `isAttempt` counts one more. */
  async #update(id: string, guard: Guard, set: Updateable<UploadTable>, isAttempt = false): Promise<Upload | undefined> {
    const entries = Object.entries(set).filter(([, value]) => value !== undefined);
    const { lease } = guard;
    const shape = `${entries.map(([column]) => column)} ${lease !== undefined} ${isAttempt}`;
    let query = this.#updates.get(shape);
    if (query === undefined) {
      const update = guarded(this.#engine.db, id, guard).set(set);
      const counted = isAttempt ? update.set((row) => ({ attempt: row('attempt', '+', 1), strikes: row('strikes', '+', 1) })) : update;
      query = counted.returningAll().compile();
      this.#updates.set(shape, query);
    }
    // In the order in which `guarded` and `set` were called.
    const values = [...entries.map(([, value]) => value), ...(isAttempt ? [1, 1] : [])];
    const parameters = [...values, id, guard.from, ...(lease ? [lease.owner, lease.attempt, 1] : [])];
    const { rows } = await this.#engine.db.executeQuery<Upload>({ ...query, parameters });
    return rows[0];
  }

  /** Runs a change and, when it happened, makes it durable; until then `get` of the same upload waits. */
  #durably<T>(id: string, change: () => Promise<T>): Promise<T> {
    const done = this.#kept(change, true);
    const settled = Promise.allSettled([this.#undurable.get(id), done]).then(() => undefined);
    this.#undurable.set(id, settled);
    void settled.then(() => {
      if (this.#undurable.get(id) === settled) this.#undurable.delete(id);
    });
    return done;
  }

  /**
   * Runs a change and resolves when it will not be lost any more: by a crash, or with `durable` by a power cut. A disk that
   * fails is tried again for as long as it takes, since the change is made and can't be told of before.
   * @throws when the change was, or may have been, taken back
   */
  async #kept<T>(change: () => Promise<T>, durable: boolean): Promise<T> {
    const engine = this.#engine;
    const { rollbacks } = engine;
    const result = await change();
    for (let waitMs = 100; result; waitMs = Math.min(waitMs * 2, 5000)) {
      try {
        await (durable ? engine.flush() : engine.committed());
        break;
      } catch (error) {
        if (this.#isClosing || engine.rollbacks !== rollbacks) throw error;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
      }
    }
    if (engine.rollbacks !== rollbacks) throw new Error('The ledger took back what was written.');
    return result;
  }

  /** @throws when a change that is made is still not durable after a while */
  async #waitDurable(durable: Promise<void>): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const limit = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error('The ledger can not be made durable.')), DURABLE_WAIT_MS);
    });
    await Promise.race([durable, limit]).finally(() => clearTimeout(timer));
  }
}

// Written out, not as parameters: only so does a planner see that a partial index covers the query.
const INSPECTING = sql.lit<UploadState>('inspecting');
const RECEIVING = sql.lit<UploadState>('receiving');

/**
 * A lease of nobody, or of one that is known to be dead. One that is not known at all is taken for alive: it may have come after
 * the moment at which the statement reads the other rows, as PostgreSQL's Read Committed has it for a row that it waited for.
 */
function isFree(row: ExpressionBuilder<Schema, 'uploads'>) {
  return row.or([row('leaseOwner', 'is', null), isDead(row)]);
}

function lockOf(row: ExpressionBuilder<Schema, 'uploads'>, owner: string) {
  return row.selectFrom('locks').select('owner').whereRef('locks.uploadId', '=', 'uploads.id').where('locks.owner', '=', owner);
}

function isDead(row: ExpressionBuilder<Schema, 'uploads'>) {
  const dead = row.selectFrom('holders').select('isDead').whereRef('holders.owner', '=', 'uploads.leaseOwner').where('isDead', '=', 1);
  return row.exists(dead);
}

/** So long, and then a fault is answered: who asks has a time limit, too. */
const DURABLE_WAIT_MS = 5000;

function guarded(db: Kysely<Schema>, id: string, guard: Guard) {
  const query = db.updateTable('uploads').where('id', '=', id).where('state', '=', guard.from);
  if (guard.lease === undefined) return query;
  const held = query.where('leaseOwner', '=', guard.lease.owner).where('attempt', '=', guard.lease.attempt);
  return held.where((row) => row.not(isDead(row)));
}
