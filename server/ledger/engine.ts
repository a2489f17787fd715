import type { CompiledQuery, Kysely, QueryResult } from 'kysely';
import type { Dialect, Schema } from './schema.ts';

/** The database that keeps the rows. */
export interface Engine {
  readonly dialect: Dialect;
  readonly db: Kysely<Schema>;
  /** The same database without a time limit for statements: a migration waits while another process runs one. */
  readonly migrating: Kysely<Schema>;
  /** Runs a compiled statement without the query builder around it, which on SQLite costs as much as the statement itself. */
  execute<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>>;
  /** Number of rollbacks of changes that had been made (a full disk causes one). A change during which it grows may be rolled back. */
  readonly rollbacks: number;
  /** Resolves once every change made before the call survives a crash of this process. */
  committed(): Promise<void>;
  /** Resolves once every change made before the call survives a power cut. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
