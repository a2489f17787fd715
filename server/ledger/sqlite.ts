// The embedded engine: node:sqlite in WAL mode, with commits made durable in groups off the main thread.
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, SqliteDialect } from 'kysely';
import { makeDurableDirectory, syncDirectory } from './durable-directory.ts';
import type { Engine } from './ledger.ts';
import type { Schema } from './schema.ts';

/** Another process serves this data directory. */
export class LedgerInUse extends Error {
  override readonly name = 'LedgerInUse';
}

/**
 * Opens, and makes where needed, the ledger in a data directory.
 *
 * SQLite runs with `synchronous=NORMAL`, where a commit writes the WAL but does not sync it; `flush` syncs the WAL once
 * for all commits that wait, in the thread pool. What resolved after `flush` is as durable as with `synchronous=FULL`,
 * and a busy server pays one fsync for many commits and none on the event loop.
 *
 * @throws LedgerInUse when `exclusive` and another process holds the directory
 */
export async function openSqlite(dataDir: string, options: { exclusive: boolean }): Promise<Engine> {
  await makeDurableDirectory(dataDir);
  const lock = options.exclusive ? holdDirectory(dataDir) : undefined;
  const path = join(dataDir, 'ledger.sqlite');
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode=WAL; pragma synchronous=NORMAL; pragma busy_timeout=5000; pragma foreign_keys=ON;');
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: adapt(database) }) });
  let wal: FileHandle | undefined;
  let next: Promise<void> | undefined;
  let running: Promise<void> = Promise.resolve();

  async function sync(): Promise<void> {
    if (wal === undefined) {
      wal = await open(`${path}-wal`, 'r');
      await syncDirectory(dataDir);
    }
    await wal.datasync();
  }

  return {
    dialect: 'sqlite',
    db,
    // Whoever commits while a sync runs needs the one after it: the running one may have begun before the commit.
    flush(): Promise<void> {
      next ??= running.then(() => {
        next = undefined;
        const current = sync();
        running = current.catch(() => undefined);
        return current;
      });
      return next;
    },
    async close(): Promise<void> {
      await running;
      await wal?.close();
      await db.destroy();
      lock?.close();
    },
  };
}

/** A lock of the operating system's, through SQLite: it goes with the process, however that ends. */
function holdDirectory(dataDir: string): DatabaseSync {
  const lock = new DatabaseSync(join(dataDir, 'server.lock'));
  try {
    lock.exec('pragma busy_timeout=0; pragma locking_mode=EXCLUSIVE; begin exclusive;');
    return lock;
  } catch (cause) {
    lock.close();
    throw new LedgerInUse(`Another process serves ${dataDir}.`, { cause });
  }
}

/** The shape Kysely's SQLite dialect asks for. */
function adapt(database: DatabaseSync) {
  const statements = new Map<string, ReturnType<typeof wrap>>();
  function wrap(text: string) {
    const statement = database.prepare(text);
    return {
      reader: statement.columns().length > 0,
      all: (parameters: readonly unknown[]) => statement.all(...(parameters as [])),
      run: (parameters: readonly unknown[]) => statement.run(...(parameters as [])),
      iterate: (parameters: readonly unknown[]) => statement.iterate(...(parameters as [])),
    };
  }
  return {
    close: () => database.close(),
    // The queries of the ledger are a fixed few, so each is prepared once. Migrations change the schema under them.
    prepare(text: string) {
      let statement = statements.get(text);
      if (statement === undefined) {
        statement = wrap(text);
        if (statements.size < 100) statements.set(text, statement);
      }
      return statement;
    },
  };
}
