// Group commit: while the database works on one batch, new items gather for the next one.

interface Waiting<Item, Result> {
  item: Item;
  resolve(result: Result): void;
  reject(error: unknown): void;
}

/** Most items in one batch. */
const MAX_ITEMS = 100;

export interface BatchesOptions<Item, Result> {
  /** A batch has one item of each key; another item of that key waits for the next batch. */
  keyOf(item: Item): string;
  /** Executes all items or none, and resolves to one result for each. */
  run(items: readonly Item[]): Promise<readonly Result[]>;
  /** True when the error means that the database refused an item and changed nothing: each item is then executed by itself. */
  isRefusal(error: unknown): boolean;
}

export class Batches<Item, Result> {
  readonly #options: BatchesOptions<Item, Result>;
  #waiting: Waiting<Item, Result>[] = [];
  #isRunning = false;

  constructor(options: BatchesOptions<Item, Result>) {
    this.#options = options;
  }

  do(item: Item): Promise<Result> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject });
      if (!this.#isRunning) void this.#run();
    });
  }

  async #run(): Promise<void> {
    this.#isRunning = true;
    // Items of the same turn of the event loop go into the first batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) await this.#settle(this.#next());
    this.#isRunning = false;
  }

  #next(): Waiting<Item, Result>[] {
    const batch = new Map<string, Waiting<Item, Result>>();
    const later: Waiting<Item, Result>[] = [];
    for (const one of this.#waiting) {
      const key = this.#options.keyOf(one.item);
      if (batch.has(key) || batch.size === MAX_ITEMS) later.push(one);
      else batch.set(key, one);
    }
    this.#waiting = later;
    return [...batch.values()];
  }

  async #settle(batch: readonly Waiting<Item, Result>[]): Promise<void> {
    try {
      const results = await this.#options.run(batch.map(({ item }) => item));
      for (const [n, { resolve }] of batch.entries()) resolve(results[n] as Result);
    } catch (error) {
      if (batch.length > 1 && this.#options.isRefusal(error)) await Promise.all(batch.map((one) => this.#settle([one])));
      else for (const { reject } of batch) reject(error);
    }
  }
}
