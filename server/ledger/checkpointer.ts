import { Worker } from 'node:worker_threads';

/** What `pragma wal_checkpoint` says: pages in the log, and how many of them the database file has by now. */
export interface Checkpointed {
  log: number;
  checkpointed: number;
}

/** Of two or three pages each. */
const EVERY_CHANGES = 500;

/** tsc rewrites import specifiers, but not this string: from source the worker is TypeScript too. */
const WORKER_URL = new URL(`./checkpoint-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/**
 * Copies what SQLite's log holds into the database file. SQLite would do so by itself, in the commit that finds the log long
 * enough, and stop the event loop for 70 ms where the rows lie far apart. So a thread of its own does, with a connection of
 * its own; commits go on meanwhile. It starts at the first need and does not keep the process alive while idle.
 */
export class Checkpointer {
  readonly #path: string;
  readonly #onDone: (result: Checkpointed) => void;
  #worker: Worker | undefined;
  #changes = 0;
  #isRunning = false;
  #isClosed = false;

  /** @param onDone told after each; what was committed meanwhile is still in the log */
  constructor(path: string, onDone: (result: Checkpointed) => void) {
    this.#path = path;
    this.#onDone = onDone;
  }

  /** To be told of every commit, and how many changes were in it. */
  committed(changes: number): void {
    this.#changes += changes;
    if (this.#changes < EVERY_CHANGES || this.#isRunning || this.#isClosed) return;
    this.#changes = 0;
    this.#isRunning = true;
    this.#worker ??= this.#start();
    this.#worker.postMessage('checkpoint');
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(WORKER_URL, { name: 'landfall-ledger', execArgv: [], workerData: this.#path });
    worker.unref();
    worker.on('message', (result: Checkpointed | undefined) => {
      this.#isRunning = false;
      if (result && !this.#isClosed) this.#onDone(result);
    });
    // A disk that fails: the next one finds the same log again.
    const fail = () => {
      this.#worker = undefined;
      this.#isRunning = false;
    };
    worker.on('error', fail);
    worker.on('exit', fail);
    return worker;
  }
}
