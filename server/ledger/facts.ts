import type { Engine } from './engine.ts';

/** What the ledger knows of itself, and of the machine that it was served on. */
export class Facts {
  readonly #engine: Engine;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async get(key: string): Promise<string | undefined> {
    const row = await this.#engine.db.selectFrom('facts').select('value').where('key', '=', key).executeTakeFirst();
    return row?.value;
  }

  /** Durable. What it says is done must be. */
  async set(key: string, value: string): Promise<void> {
    await this.#engine.db
      .insertInto('facts')
      .values({ key, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute();
    await this.#engine.flush();
  }

  /** As `set`, unless it is known: several processes may say so at once, and the first has it. Resolves with what is known then. */
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
