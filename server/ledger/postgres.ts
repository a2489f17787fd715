// The engine for several processes, on one machine or many: PostgreSQL, through a pool of few connections.
import { Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import { DatabaseError, Pool, type PoolConfig, types } from 'pg';
import type { Engine } from './engine.ts';
import type { Schema } from './schema.ts';

/** A server that does not answer for so long is away: who asks has a time limit, too. */
const STATEMENT_MS = 10_000;
const CONNECT_MS = 5000;
const BIGINT = 20;

/**
 * A statement is a transaction of its own, and durable when it returns, as far as the server's `synchronous_commit` goes:
 * whatever an operator set counts, but for `off`, with which a crash of the server takes back what was told to senders.
 *
 * Every connection may be lost at any time; the next statement gets another one. A statement whose answer was lost may have
 * been carried out: each of the ledger's can be told apart from not having been, or be repeated.
 */
export function openPostgres(url: string, options: { connections: number }): Engine {
  const pool = openPool({ ...connection(url), max: options.connections, query_timeout: STATEMENT_MS }, STATEMENT_MS);
  const unhurried = openPool({ ...connection(url), max: 1 }, 0);
  const db = kyselyOn(pool);
  const migrating = kyselyOn(unhurried);
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

/** What every connection to the ledger has in common. */
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
      // The pool listens to the connections that nobody uses; one that is lost while it is used must not end the process.
      client.on('error', () => undefined);
      // Not in the connection's first words: poolers between refuse what they do not know there.
      await client.query(`set statement_timeout = ${statementMs}`);
      await client.query("select set_config('synchronous_commit', 'on', false) where current_setting('synchronous_commit') = 'off'");
    },
  });
  // An idle connection that is lost is replaced when one is needed next.
  pool.on('error', () => undefined);
  return pool;
}

function kyselyOn(pool: Pool): Kysely<Schema> {
  return new Kysely<Schema>({
    dialect: new PostgresDialect({ pool: { connect: () => borrow(pool), end: () => pool.end(), options: {} } }),
  });
}

/** A connection that failed otherwise than by the server's own refusal of a statement is not given back for others to use. */
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
