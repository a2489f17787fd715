// The prepared statements of a SQLite ledger. It has a fixed, small number of queries, so each is prepared once.
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';

/** More than the ledger's own queries: the bound is for migrations. */
const MAX_PREPARED = 100;

export interface StatementsOptions {
  /** Called before Kysely begins a transaction, which must not include the changes that were collected before. */
  onTransaction(): void;
  /** Runs a statement that changes rows. */
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
    // A migration changes the columns of other statements.
    if (/^\s*(?:create|alter|drop)\b/i.test(text)) this.#prepared.clear();
    else if (this.#prepared.size < MAX_PREPARED) this.#prepared.set(text, statement);
    return statement;
  }
}

/** One statement, in the shape that Kysely's dialect asks for. */
export class SqliteStatement {
  /** Whether it returns rows. */
  readonly reader: boolean;
  readonly #statement: StatementSync;
  readonly #columns: readonly string[];
  readonly #emptyRow: Readonly<Record<string, unknown>>;
  readonly #isChange: boolean;
  readonly #isTransaction: boolean;
  readonly #options: StatementsOptions;

  constructor(statement: StatementSync, text: string, options: StatementsOptions) {
    this.#statement = statement;
    this.#options = options;
    this.#columns = statement.columns().map(({ name }) => name);
    this.reader = this.#columns.length > 0;
    // V8 makes a hash table of an object that gets more than a few properties one by one, but not of a parsed one, nor of its copies.
    this.#emptyRow = JSON.parse(JSON.stringify(Object.fromEntries(this.#columns.map((name) => [name, null]))));
    this.#isChange = /^\s*(?:insert|update|delete)\b/i.test(text);
    this.#isTransaction = /^\s*begin\b/i.test(text);
    // The row objects that node:sqlite makes are hash tables of 2 KiB each, and a long request holds several. So it returns arrays.
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
    const row: Record<string, unknown> = { ...this.#emptyRow };
    for (const [index, column] of this.#columns.entries()) row[column] = (values as unknown[])[index];
    return row;
  }
}
