import type { Engine } from './engine.ts';

/** Single values: about the ledger itself, and about the machine that served it last. */
export class Facts {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async get(key: string): Promise<string | undefined> {
    const row = await this.#engine.db.selectFrom('facts').select('value').where('key', '=', key).executeTakeFirst();
    return row?.value;
  }

  /** Durable. When the value says that work is done, make that work durable first. */
  async set(key: string, value: string): Promise<void> {
    await this.#engine.db
      .insertInto('facts')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
    await this.#engine.flush();
  }

  /** Sets the value unless there is one: of several processes, the first sets it. Resolves to the stored value. Durable. */
  async setFirst(key: string, value: string): Promise<string> {
    const { db } = this.#engine;
    await db
      .insertInto('facts')
      .values({ key, value })
      .onConflict((conflict) => conflict.doNothing())
      .execute();
    await this.#engine.flush();
    const { value: known } = await db.selectFrom('facts').select('value').where('key', '=', key).executeTakeFirstOrThrow();
    return known;
  }
}
