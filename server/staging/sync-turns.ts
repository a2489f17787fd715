/** Half of the thread pool that the program starts. Writes, reads and the syncs that a sender waits for need the other half. */
const AT_ONCE = 8;

/**
 * Syncs that no sender waits for: checkpoints within a body, and the end of a body whose sender left. A disk receives bytes faster than it
 * makes them durable, so with thousands of uploads these syncs would fill the thread pool, and every other request would wait for all
 * of them. They run a few at a time, in the order of their calls.
 */
export class SyncTurns {
  readonly #atOnce: number;
  readonly #waiting = new Map<object, (isTurn: boolean) => void>();
  #running = 0;

  constructor(atOnce: number = AT_ONCE) {
    this.#atOnce = atOnce;
  }

  /**
   * Runs the sync when its turn comes.
   * @param owner has one waiting sync at a time; `skip` and `hurry` name it
   * @returns false when the sync was skipped
   */
  async run(owner: object, sync: () => Promise<void>): Promise<boolean> {
    if (this.#running >= this.#atOnce) {
      const isTurn = await new Promise<boolean>((enter) => this.#waiting.set(owner, enter));
      if (!isTurn) return false;
    }
    this.#running += 1;
    try {
      await sync();
    } finally {
      this.#running -= 1;
      const [next] = this.#waiting.keys();
      if (next !== undefined && this.#running < this.#atOnce) this.hurry(next);
    }
    return true;
  }

  /** The waiting sync is not needed any more. */
  skip(owner: object): void {
    this.#end(owner, false);
  }

  /** A sender waits now: starts the waiting sync immediately. */
  hurry(owner: object): void {
    this.#end(owner, true);
  }

  #end(owner: object, isTurn: boolean): void {
    const enter = this.#waiting.get(owner);
    this.#waiting.delete(owner);
    enter?.(isTurn);
  }
}
