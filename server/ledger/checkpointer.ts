import { ThreadOnDemand, workerScript } from '../runtime/worker.ts';

/** The result of `pragma wal_checkpoint`: pages in the log, and how many of them are copied into the database file. */
export interface CheckpointResult {
  log: number;
  checkpointed: number;
}

/** A change writes four to six pages, its event and its counters included. */
const EVERY_CHANGES = 250;

/**
 * Copies SQLite's log into the database file, in a worker thread with its own connection. SQLite's automatic checkpoint runs inside
 * a commit and blocks the event loop for 70 ms when the changed rows are scattered. The thread starts when it is first needed and
 * does not keep an idle process alive.
 */
export class Checkpointer {
  readonly #threads: ThreadOnDemand<'checkpoint', CheckpointResult | undefined>;
  readonly #onDone: (result: CheckpointResult) => void;
  #changes = 0;
  #isRunning = false;
  #isClosed = false;

  /** @param onDone called after each checkpoint; commits that came during the checkpoint are still in the log */
  constructor(path: string, onDone: (result: CheckpointResult) => void) {
    this.#threads = new ThreadOnDemand(workerScript('checkpoint-worker', import.meta.url), { name: 'landfall-ledger', workerData: path });
    this.#onDone = onDone;
  }

  /** Call after every commit, with the number of its changes. */
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
      // The disk failed. The next checkpoint copies the same log.
    }
  }
}
