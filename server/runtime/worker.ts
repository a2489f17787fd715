// Work in a thread of its own: a question and its answer at a time, or many on their way at once.
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** One of those who wait for an answer. */
interface Asked<Answer> {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/**
 * One thread, from its start to its end. It answers each request with one message, in the order in which they came. What was
 * asked and not answered when the thread ends is rejected, and so is all that is asked later: work that takes several
 * requests asks all of them of one thread, and ends with it. While nothing is asked it does not keep the process alive.
 */
export class WorkerThread<Request, Answer> {
  readonly #worker: Worker;
  readonly #asked: Asked<Answer>[] = [];
  #endedBy: Error | undefined;

  constructor(script: URL, options: WorkerOptions) {
    // Without the flags of the main thread: with some (--input-type) no worker starts, and none is for these.
    this.#worker = new Worker(script, { execArgv: [], ...options });
    this.#worker.unref();
    this.#worker.on('message', (answer: Answer) => this.#answer(answer));
    this.#worker.on('messageerror', (error) => void this.end(error));
    this.#worker.on('error', (error) => void this.end(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', (code) => void this.end(new Error(`The thread ${options.name} ended with code ${code}.`)));
  }

  get hasEnded(): boolean {
    return this.#endedBy !== undefined;
  }

  /** @throws what the thread ended by; DataCloneError, and the thread goes on */
  ask(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#endedBy) throw this.#endedBy;
      this.#worker.postMessage(request);
      this.#asked.push({ resolve, reject });
      this.#worker.ref();
    });
  }

  /** Stops it where it is. Resolves when it is gone. The first reason counts. */
  async end(reason: Error): Promise<void> {
    this.#endedBy ??= reason;
    for (const { reject } of this.#asked.splice(0)) reject(this.#endedBy);
    await this.#worker.terminate();
  }

  #answer(answer: Answer): void {
    // One that was stopped may have answered just before.
    if (this.#endedBy) return;
    const first = this.#asked.shift();
    if (this.#asked.length === 0) this.#worker.unref();
    first?.resolve(answer);
  }
}

/** A thread for one purpose: started at the first need, and anew at the next one after it ended. */
export class ThreadOnDemand<Request, Answer> {
  readonly #script: URL;
  readonly #options: WorkerOptions;
  #thread: WorkerThread<Request, Answer> | undefined;
  #isClosed = false;

  constructor(script: URL, options: WorkerOptions) {
    this.#script = script;
    this.#options = options;
  }

  /** The one that runs, or else a new one. @throws once it is closed */
  get current(): WorkerThread<Request, Answer> {
    if (this.#isClosed) throw this.#closed();
    if (this.#thread === undefined || this.#thread.hasEnded) this.#thread = new WorkerThread(this.#script, this.#options);
    return this.#thread;
  }

  /** What is not answered yet is rejected. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.end(this.#closed());
  }

  #closed(): Error {
    return new Error(`The thread ${this.#options.name} is closed.`);
  }
}

/**
 * The script of a worker that lies beside its module, named without its ending. tsc rewrites import specifiers, but not this
 * string: from source the worker is TypeScript too.
 *
 * @param moduleUrl `import.meta.url`
 */
export function workerScript(name: string, moduleUrl: string): URL {
  return new URL(`./${name}${moduleUrl.endsWith('.ts') ? '.ts' : '.js'}`, moduleUrl);
}
