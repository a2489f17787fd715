import { pause } from './pause.ts';

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** So many in one pass, and something is away: the others would fail, too. */
const MAX_FAULTS = 20;

/**
 * Work that is not done with until it is done: what fails is tried again soon, and then ever more seldom, one after another.
 * Nothing of it is written down, so the work is of a kind that the next start finds by itself.
 */
export class Retries {
  readonly #onFault: (error: unknown) => void;
  readonly #closing = new AbortController();
  readonly #left = new Set<() => Promise<void>>();
  #passes: Promise<void> | undefined;

  /** @param onFault told of the first failure of each */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Resolves when the work is done, or has failed for the first time. Never rejects. */
  async do(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#onFault(error);
      this.#left.add(work);
      this.#passes ??= this.#run();
    }
  }

  /** Lets the one at hand end; the others are left to the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#passes;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    for (let waitMs = FIRST_WAIT_MS; this.#left.size > 0; waitMs = Math.min(waitMs * 2, LONGEST_WAIT_MS)) {
      if (!(await pause(waitMs, signal))) break;
      if (await this.#pass()) waitMs = FIRST_WAIT_MS;
    }
    this.#passes = undefined;
  }

  /** Resolves with whether any of them succeeded. */
  async #pass(): Promise<boolean> {
    let faults = 0;
    let isAnyDone = false;
    for (const work of [...this.#left]) {
      if (this.#closing.signal.aborted || faults === MAX_FAULTS) break;
      this.#left.delete(work);
      try {
        await work();
        isAnyDone = true;
      } catch {
        // Behind those that were not come to.
        this.#left.add(work);
        faults += 1;
      }
    }
    return isAnyDone;
  }
}
