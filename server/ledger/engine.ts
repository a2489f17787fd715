import type { CompiledQuery, Kysely, QueryResult } from 'kysely';
import type { Dialect, Schema } from './schema.ts';

/** What keeps the rows. */
export interface Engine {
  readonly dialect: Dialect;
  readonly db: Kysely<Schema>;
  /** The same database for what may take its time: other processes may be bringing it up to date. */
  readonly migrating: Kysely<Schema>;
  /**
   * Carries out a statement that was built before. What every upload does goes this way: on SQLite there is nothing around it then
   * that costs as much as the statement.
   */
  execute<Row>(query: CompiledQuery<Row>): Promise<QueryResult<Row>>;
  /** How often changes were taken back that had been made: by a full disk, say. One that saw it move was maybe among them. */
  readonly rollbacks: number;
  /** Resolves once every change made before the call survives a crash of this process. */
  committed(): Promise<void>;
  /** Resolves once every change made before the call survives a power cut. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
