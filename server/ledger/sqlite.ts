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

/** As SQLite has it. While commits come without a pause, the log never is all copied, and only then does it begin anew. */
const LONG_LOG_PAGES = 1000;

/**
 * Opens, and makes where needed, the ledger in a data directory.
 *
 * Changes of one turn of the event loop gather in one transaction. SQLite runs with
 * `synchronous=NORMAL`, where a commit writes the WAL but does not sync it; `flush` commits, then syncs the WAL in the
 * thread pool, once for all that wait. What resolved after `flush` is as durable as with `synchronous=FULL`, and a busy
 * server pays one commit and one fsync for many changes, and no fsync on the event loop.
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
      // Here nothing is committed beside it: what is left is little, and then it is all.
      group.commit();
      database.exec('pragma wal_checkpoint(passive)');
    } catch {
      // A disk that fails, or migrations: after the next one.
    }
  });
  // Whoever only looks, or sets one thing right, leaves it to SQLite.
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
  // Nor was the last sync of the process before maybe one that succeeded: its commits are seen here, and acted upon.
  let isWalUnproved = options.exclusive;
  let next: Promise<void> | undefined;
  let flushing: { committed: Promise<void> | undefined; next: Promise<void>; both: Promise<void> } | undefined;
  let running: Promise<void> = Promise.resolve();

  async function sync(): Promise<void> {
    group.commit();
    if (wal === undefined) {
      wal = await OpenFile.open(`${path}-wal`, 'r');
      await syncDirectory(dataDir);
    }
    // A failed sync is reported once, and a second one says nothing of what the first lost. The checkpoint copies what the
    // WAL holds into the database file and syncs that.
    if (isWalUnproved) checkpoint(database);
    isWalUnproved = true;
    await wal.datasync();
    isWalUnproved = false;
  }

  // From here on `close` does it.
  opened.move();
  return {
    dialect: 'sqlite',
    db,
    migrating: db,
    async execute<Row>({ sql, parameters, ...query }: CompiledQuery<Row>): Promise<QueryResult<Row>> {
      // Kysely has others wait for the end of its transactions.
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
    // Whoever changes something while a sync runs needs the one after it: the running one may have begun before.
    flush(): Promise<void> {
      next ??= running.then(() => {
        next = undefined;
        const current = sync();
        running = current.catch(() => undefined);
        return current;
      });
      const { committed } = group;
      // One wait for all who changed something since the last commit.
      if (flushing?.next !== next || flushing.committed !== committed) {
        flushing = { committed, next, both: Promise.all([committed, next]).then(() => undefined) };
      }
      return flushing.both;
    },
    async close(): Promise<void> {
      await running;
      group.commit();
      wal?.closeSync();
      // The last connection copies what is left, and removes the log.
      await checkpointer.close();
      await db.destroy();
      lock?.close();
    },
  };
}

/** A migration is done as a whole, or not at all: SQLite can have tables changed in a transaction, which Kysely does not count on. */
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

/** The open transaction that changes gather in. */
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

  /** Resolves when what was changed so far is committed; rejects when it was rolled back. */
  get committed(): Promise<void> | undefined {
    return this.#outcome?.promise;
  }

  /** Runs one statement that changes something. */
  run<T>(statement: () => T): T {
    if (this.#outcome === undefined) {
      this.#database.exec('begin immediate');
      this.#outcome = Promise.withResolvers();
      // Nobody need wait for it.
      this.#outcome.promise.catch(() => undefined);
      this.#changes = 0;
      this.#immediate = setImmediate(() => this.commit());
    }
    this.#changes += 1;
    try {
      return statement();
    } catch (error) {
      // A full disk and the like end the whole transaction, not the statement alone.
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
      // A full disk, maybe: once what the log holds is copied, its room is used anew.
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

/** @throws when it can't be done now: another process reads, or the disk fails */
function checkpoint(database: DatabaseSync): void {
  const row = database.prepare('pragma wal_checkpoint(truncate)').get();
  if (row?.busy !== 0) throw new Error('The ledger could not be checkpointed.');
}

/** Senders' names and metadata are in it. SQLite gives its log and its index the mode of the file they belong to. */
function keepPrivate(path: string): void {
  closeSync(openSync(path, constants.O_CREAT | constants.O_RDONLY, 0o640));
  // An earlier version, or a copy, made it for everyone to read.
  if ((statSync(path).mode & 0o7) !== 0)
    for (const file of [path, `${path}-wal`, `${path}-shm`]) if (existsSync(file)) chmodSync(file, 0o640);
}

/** A lock of the operating system's, through SQLite: it goes with the process, however that ends. */
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

/** By SQLite's own number; a disk that fails has others. */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 5;
}
