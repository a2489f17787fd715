// The statements of a SQLite ledger: a fixed few, so each is prepared once, and built into rows of one shape.
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** More than the ledger has of its own. */
const MAX_PREPARED = 100;

export interface StatementsOptions {
  /** Before a transaction that is not the gathering one begins. */
  onTransaction(): void;
  /** Runs what changes something. */
  change<T>(run: () => T): T;
}

export class SqliteStatements {
  readonly #database: DatabaseSync;
  readonly #options: StatementsOptions;
  readonly #prepared = new Map<string, SqliteStatement>();

  constructor(database: DatabaseSync, options: StatementsOptions) {
    this.#database = database;
    this.#options = options;
  }

  prepare(text: string): SqliteStatement {
    const known = this.#prepared.get(text);
    if (known !== undefined) return known;
    const statement = new SqliteStatement(this.#database.prepare(text), text, this.#options);
    // A migration changes what the columns of the others are.
    if (/^\s*(?:create|alter|drop)\b/i.test(text)) this.#prepared.clear();
    else if (this.#prepared.size < MAX_PREPARED) this.#prepared.set(text, statement);
    return statement;
  }
}

/** One statement, in the shape that Kysely's dialect asks for. */
export class SqliteStatement {
  /** Whether it has rows to give. */
  readonly reader: boolean;
  readonly #statement: StatementSync;
  readonly #columns: readonly string[];
  readonly #isChange: boolean;
  readonly #isTransaction: boolean;
  readonly #options: StatementsOptions;

  constructor(statement: StatementSync, text: string, options: StatementsOptions) {
    this.#statement = statement;
    this.#options = options;
    this.#columns = statement.columns().map(({ name }) => name);
    this.reader = this.#columns.length > 0;
    this.#isChange = /^\s*(?:insert|update|delete)\b/i.test(text);
    // Kysely's own transactions are the migrations': what was gathered before does not belong to them.
    this.#isTransaction = /^\s*begin\b/i.test(text);
    // As SQLite's binding makes objects of them, rows are hash tables: 2 KiB each, and a request that lasts holds some.
    statement.setReturnArrays(true);
  }

  all(parameters: readonly unknown[]): unknown[] {
    return this.#execute(() => this.#statement.all(...(parameters as SQLInputValue[]))).map((values) => this.#row(values));
  }

  run(parameters: readonly unknown[]): { changes: number | bigint; lastInsertRowid: number | bigint } {
    return this.#execute(() => this.#statement.run(...(parameters as SQLInputValue[])));
  }

  *iterate(parameters: readonly unknown[]): IterableIterator<unknown> {
    for (const values of this.#statement.iterate(...(parameters as SQLInputValue[]))) yield this.#row(values);
  }

  #execute<T>(run: () => T): T {
    if (this.#isTransaction) this.#options.onTransaction();
    return this.#isChange ? this.#options.change(run) : run();
  }

  #row(values: unknown): Record<string, unknown> {
    const row: Record<string, unknown> = {};
    for (const [index, column] of this.#columns.entries()) row[column] = (values as unknown[])[index];
    return row;
  }
}
