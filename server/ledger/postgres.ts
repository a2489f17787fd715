// The engine for several processes, on one machine or many: PostgreSQL, through a pool of few connections.
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import { DatabaseError, Pool, type PoolConfig, types } from 'pg';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';

/** The time limit of a statement: the senders that wait for it have time limits, too. */
const STATEMENT_MS = 10_000;
const CONNECT_MS = 5000;
const BIGINT = 20;

/**
 * Each statement is its own transaction, and durable when it returns, as far as PostgreSQL's `synchronous_commit` says. The operator's
 * setting counts, except for `off`: with it, a crash of PostgreSQL would undo changes that senders were told of.
 *
 * Any connection may be lost at any time, and the next statement gets another one. A statement whose answer was lost may have been
 * executed. Each statement of the ledger either can be repeated, or the row shows whether it was executed.
 */
export function openPostgres(url: string, options: { connections: number }): Engine {
  const pool = openPool({ ...connection(url), max: options.connections, query_timeout: STATEMENT_MS }, STATEMENT_MS);
  const migrationPool = openPool({ ...connection(url), max: 1 }, 0);
  const db = kyselyOn(pool);
  const migrating = kyselyOn(migrationPool);
  return {
    dialect: 'postgres',
    db,
    migrating,
    execute: (query) => db.executeQuery(query),
    rollbacks: 0,
    async committed() {},
    async flush() {},
    async close() {
      await Promise.all([db.destroy(), migrating.destroy()]);
    },
  };
}

/** Options of every connection to the ledger. */
export function connection(url: string): PoolConfig {
  return {
    connectionString: url,
    connectionTimeoutMillis: CONNECT_MS,
    keepAlive: true,
    application_name: 'landfall',
    types: {
      // Sizes, times and counts: all of them stay under 2 ** 53.
      getTypeParser: ((oid: number, format?: 'text') =>
        oid === BIGINT ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
    },
  };
}

function openPool(config: PoolConfig, statementMs: number): Pool {
  const pool = new Pool({
    ...config,
    onConnect: async (client) => {
      // The pool handles errors of idle connections only. An error without a listener would end the process.
      client.on('error', () => undefined);
      // Statements, not startup parameters: poolers refuse startup parameters that they do not know.
      await client.query(`set statement_timeout = ${statementMs}`);
      await client.query("select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'");
    },
  });
  // A lost idle connection is replaced when the next one is needed.
  pool.on('error', () => undefined);
  return pool;
}

function kyselyOn(pool: Pool): Kysely<Schema> {
  return new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: { connect: () => borrow(pool), end: () => pool.end(), options: {} } }),
  });
}

/** Lends a connection. It goes back to the pool only if each statement succeeded or was refused by PostgreSQL itself. */
async function borrow(pool: Pool): Promise<PostgresPoolClient> {
  const client = await pool.connect();
  let isBroken = false;
  const query = async (text: string, parameters?: readonly unknown[]) => {
    try {
      return await client.query(text, parameters as unknown[]);
    } catch (error) {
      isBroken ||= !(error instanceof DatabaseError) || error.severity !== 'ERROR';
      throw error;
    }
  };
  return { query, release: (discard?: boolean) => client.release(isBroken || discard === true) } as unknown as PostgresPoolClient;
}
