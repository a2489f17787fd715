import { ThreadOnDemand, workerScript } from '../runtime/worker.ts';

/** What `pragma wal_checkpoint` says: pages in the log, and how many of them the database file has by now. */
export interface Checkpointed {
  log: number;
  checkpointed: number;
}

/** Of four to six pages each, the event of a change and what is counted with it included. */
const EVERY_CHANGES = 250;

/**
 * Copies what SQLite's log holds into the database file. SQLite would do so by itself, in the commit that finds the log long
 * enough, and stop the event loop for 70 ms where the rows lie far apart. So a thread of its own does, with a connection of
 * its own; commits go on meanwhile. It starts at the first need and does not keep the process alive while idle.
 */
export class Checkpointer {
  readonly #threads: ThreadOnDemand<'checkpoint', Checkpointed | undefined>;
  readonly #onDone: (result: Checkpointed) => void;
  #changes = 0;
  #isRunning = false;
  #isClosed = false;

  /** @param onDone told after each; what was committed meanwhile is still in the log */
  constructor(path: string, onDone: (result: Checkpointed) => void) {
    this.#threads = new ThreadOnDemand(workerScript('checkpoint-worker', import.meta.url), { name: 'landfall-ledger', workerData: path });
    this.#onDone = onDone;
  }

  /** To be told of every commit, and how many changes were in it. */
  committed(changes: number): void {
    this.#changes += changes;
    if (this.#changes < EVERY_CHANGES || this.#isRunning || this.#isClosed) return;
    this.#changes = 0;
    this.#isRunning = true;
    void this.#checkpoint().finally(() => {
      this.#isRunning = false;
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#threads.close();
  }

  async #checkpoint(): Promise<void> {
    try {
      const result = await this.#threads.current.ask('checkpoint');
      if (result && !this.#isClosed) this.#onDone(result);
    } catch {
      // A disk that fails: the next one finds the same log again.
    }
  }
}
