/** The number of tasks in one turn of the event loop. The end of a connection takes some tenths of a millisecond. */
const AT_ONCE = 16;

/** Work that comes for thousands of connections at one moment: a few of them at a time, so that the event loop serves others between. */
export class LoopTurns {
  readonly #waiting: (() => void)[] = [];
  #isScheduled = false;

  add(work: () => void): void {
    this.#waiting.push(work);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      const now = this.#waiting.splice(0, AT_ONCE);
      if (this.#waiting.length > 0) this.#schedule();
      for (const work of now) work();
    });
  }
}
