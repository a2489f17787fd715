import { pause } from './pause.ts';

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 30_000;
/** After this many faults in one pass a dependency is probably down, and the rest would fail, too. */
const MAX_FAULTS = 20;

/**
 * Runs work, and retries failed work until it succeeds, one piece at a time, with growing pauses. Nothing is written down: the next
 * start must find unfinished work by itself.
 */
export class Retries {
  readonly #onFault: (error: unknown) => void;
  readonly #closing = new AbortController();
  readonly #left = new Set<() => Promise<void>>();
  #passes: Promise<void> | undefined;

  /** @param onFault called with the first failure of each piece of work */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  /** Resolves when the work has succeeded, or has failed for the first time. Never rejects. */
  async do(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.#onFault(error);
      this.#left.add(work);
      this.#passes ??= this.#run();
    }
  }

  /** Waits for the running work. The rest is left to the next start. */
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

  /** Resolves to true when any work succeeded. */
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
        // To the end, behind work that this pass has not tried.
        this.#left.add(work);
        faults += 1;
      }
    }
    return isAnyDone;
  }
}
