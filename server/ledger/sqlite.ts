// The embedded engine: node:sqlite in WAL mode, with commits made durable in groups off the main thread.
import { chmodSync, closeSync, constants, existsSync, openSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { type CompiledQuery, Kysely, type QueryResult, SqliteAdapter, SqliteDialect } from 'kysely';
import { makeDurableDirectory, syncDirectory } from '../disk/durable-directory.ts';
import { OpenFile } from '../disk/open-file.ts';
import { StartError } from '../runtime/start-error.ts';
import { Checkpointer } from './checkpointer.ts';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';
import { SqliteStatements } from './sqlite-statements.ts';

/** Another process serves this data directory. Stop it, or name another directory: `dataDir`. */
export class LedgerInUse extends StartError {
  override readonly name = 'LedgerInUse';
  override readonly code = 'ERR_LEDGER_IN_USE';
}

/**
 * SQLite's own limit for automatic checkpoints. SQLite restarts the log only once all of it is copied, which a checkpoint beside
 * uninterrupted commits never achieves.
 */
const LONG_LOG_PAGES = 1000;

/**
 * Opens the ledger in a data directory, and creates it if needed.
 *
 * The changes of one turn of the event loop share one transaction. With `synchronous=NORMAL`, a commit writes the WAL and does not
 * sync it. `flush` commits, then syncs the WAL in the thread pool, once for all callers that wait. When `flush` has resolved, changes
 * are as durable as with `synchronous=FULL`. So a busy server pays one commit and one fsync for many changes, and no fsync blocks
 * the event loop.
 *
 * @throws LedgerInUse when `exclusive` and another process holds the directory
 */
export async function openSqlite(dataDir: string, options: { exclusive: boolean }): Promise<Engine> {
  await makeDurableDirectory(dataDir);
  using opened = new DisposableStack();
  const lock = options.exclusive ? opened.use(holdDirectory(dataDir)) : undefined;
  const path = join(dataDir, 'ledger.sqlite');
  keepPrivate(path);
  const database = opened.use(new DatabaseSync(path));
  database.exec('pragma journal_mode=WAL; pragma synchronous=NORMAL; pragma busy_timeout=5000; pragma foreign_keys=ON;');
  const checkpointer = new Checkpointer(path, ({ log }) => {
    if (log <= LONG_LOG_PAGES) return;
    try {
      // On this thread no commit runs beside the checkpoint, so it copies the small rest and the log can restart.
      group.commit();
      database.exec('pragma wal_checkpoint(passive)');
    } catch {
      // The disk failed, or a migration runs. The next checkpoint tries again.
    }
  });
  // An operator's command is short, and keeps SQLite's automatic checkpoints.
  if (options.exclusive) database.exec('pragma wal_autocheckpoint=0');
  const group = new GroupCommit(database, (changes) => {
    if (options.exclusive) checkpointer.committed(changes);
  });
  const isOtherTransaction = () => group.committed === undefined && database.isTransaction;
  const statements = new SqliteStatements(database, {
    onTransaction: () => group.commit(),
    change: (run) => (isOtherTransaction() ? run() : group.run(run)),
  });
  const prepare = (text: string) => statements.prepare(text);
  const db = new Kysely<Schema>({ dialect: new Dialect({ database: { close: () => database.close(), prepare } }) });
  let wal: OpenFile | undefined;
  // True when the WAL may hold commits that are not durable. At the start, the last sync of the former process may have failed, and
  // this process sees that process's commits and acts on them.
  let isSyncUncertain = options.exclusive;
  let next: Promise<void> | undefined;
  let flushing: { committed: Promise<void> | undefined; next: Promise<void>; both: Promise<void> } | undefined;
  let running: Promise<void> = Promise.resolve();

  async function sync(): Promise<void> {
    group.commit();
    if (wal === undefined) {
      wal = await OpenFile.open(`${path}-wal`, 'r');
      await syncDirectory(dataDir);
    }
    // The system reports a failed sync once, and a later successful sync does not prove that the lost pages were written. A checkpoint
    // copies the WAL into the database file and syncs that file.
    if (isSyncUncertain) checkpoint(database);
    isSyncUncertain = true;
    await wal.datasync();
    isSyncUncertain = false;
  }

  // From here on, the engine's `close` closes everything that was opened above.
  opened.move();
  return {
    dialect: 'sqlite',
    db,
    migrating: db,
    async execute<Row>({ sql, parameters, ...query }: CompiledQuery<Row>): Promise<QueryResult<Row>> {
      // A transaction by Kysely is open: Kysely lets this statement wait for its end.
      if (isOtherTransaction()) return db.executeQuery({ sql, parameters, ...query });
      const statement = statements.prepare(sql);
      if (statement.reader) return { rows: statement.all(parameters) as Row[] };
      return { rows: [], numAffectedRows: BigInt(statement.run(parameters).changes) };
    },
    get rollbacks(): number {
      return group.rollbacks;
    },
    committed(): Promise<void> {
      return group.committed ?? Promise.resolve();
    },
    // A change that is made while a sync runs needs the next sync: the running one may not include it.
    flush(): Promise<void> {
      next ??= running.then(() => {
        next = undefined;
        const current = sync();
        running = current.catch(() => undefined);
        return current;
      });
      const { committed } = group;
      // All changes since the last commit share one promise.
      if (flushing?.next !== next || flushing.committed !== committed) {
        flushing = { committed, next, both: Promise.all([committed, next]).then(() => undefined) };
      }
      return flushing.both;
    },
    async close(): Promise<void> {
      await running;
      group.commit();
      wal?.closeSync();
      // Closing the last connection copies the rest of the log and removes it.
      await checkpointer.close();
      await db.destroy();
      lock?.close();
    },
  };
}

/** Runs each migration in a transaction. SQLite can change tables in one, but Kysely's adapter says that it cannot. */
class Dialect extends SqliteDialect {
  override createAdapter(): SqliteAdapter {
    return new Adapter();
  }
}

class Adapter extends SqliteAdapter {
  override get supportsTransactionalDdl(): boolean {
    return true;
  }
}

/** The open transaction that collects changes. */
class GroupCommit {
  readonly #database: DatabaseSync;
  readonly #onCommit: (changes: number) => void;
  #changes = 0;
  #outcome: PromiseWithResolvers<void> | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #rollbacks = 0;

  constructor(database: DatabaseSync, onCommit: (changes: number) => void) {
    this.#database = database;
    this.#onCommit = onCommit;
  }

  get rollbacks(): number {
    return this.#rollbacks;
  }

  /** Resolves when the changes so far are committed, rejects when they were rolled back; undefined when there are none. */
  get committed(): Promise<void> | undefined {
    return this.#outcome?.promise;
  }

  /** Runs one changing statement. */
  run<T>(statement: () => T): T {
    if (this.#outcome === undefined) {
      this.#database.exec('begin immediate');
      this.#outcome = Promise.withResolvers();
      // The rejection may have no other listener.
      this.#outcome.promise.catch(() => undefined);
      this.#changes = 0;
      this.#immediate = setImmediate(() => this.commit());
    }
    this.#changes += 1;
    try {
      return statement();
    } catch (error) {
      // A full disk, for instance, ends the whole transaction, not only this statement.
      if (!this.#database.isTransaction) this.#end(error);
      throw error;
    }
  }

  commit(): void {
    if (this.#outcome === undefined) return;
    try {
      this.#database.exec('commit');
      this.#end();
      this.#onCommit(this.#changes);
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      this.#end(error);
      // The disk may be full. A checkpoint lets SQLite reuse the log's space.
      this.#onCommit(Number.POSITIVE_INFINITY);
    }
  }

  #end(error?: unknown): void {
    const outcome = this.#outcome;
    this.#outcome = undefined;
    clearImmediate(this.#immediate);
    if (error === undefined) outcome?.resolve();
    else {
      this.#rollbacks += 1;
      outcome?.reject(error);
    }
  }
}

/** @throws when another process reads the ledger, or the disk fails */
function checkpoint(database: DatabaseSync): void {
  const row = database.prepare('pragma wal_checkpoint(truncate)').get();
  if (row?.busy !== 0) throw new Error('The ledger could not be checkpointed.');
}

/** The ledger has senders' names and metadata, so others may not read it. SQLite gives its log and index the same mode. */
function keepPrivate(path: string): void {
  closeSync(openSync(path, constants.O_CREAT | constants.O_RDONLY, 0o640));
  // An earlier version, or a copy, may have made it readable for everyone.
  if ((statSync(path).mode & 0o7) !== 0)
    for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o640);
}

/** Takes a lock of the operating system, through SQLite: it ends with the process, also after a crash. */
function holdDirectory(dataDir: string): DatabaseSync {
  const path = join(dataDir, 'server.lock');
  keepPrivate(path);
  const lock = new DatabaseSync(path);
  try {
    lock.exec('pragma busy_timeout=0; pragma locking_mode=EXCLUSIVE; begin exclusive;');
    return lock;
  } catch (error) {
    lock.close();
    if (isBusy(error)) throw new LedgerInUse(`Another process serves ${dataDir}.`, { cause: error });
    throw error;
  }
}

/** True for SQLITE_BUSY (5). A failing disk has other codes. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5;
}
