// Requests to a worker thread and its answers: one at a time, or many in flight.
import { parentPort, Worker, type WorkerOptions } from 'node:worker_threads';

interface Numbered<Content> {
  number: number;
  content: Content;
}

/** A caller that waits for an answer. */
interface PendingRequest<Answer> {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/**
 * One thread, from its start to its end. Its script calls `answerRequests`. When the thread ends, unanswered and later requests are
 * rejected. So a task of several requests keeps one thread for all of them, and fails with it. An idle thread does not keep the process
 * alive.
 */
export class WorkerThread<Request, Answer> {
  readonly #worker: Worker;
  readonly #pending = new Map<number, PendingRequest<Answer>>();
  #count = 0;
  #endedBy: Error | undefined;

  constructor(script: URL, options: WorkerOptions) {
    // Without the main thread's flags: with some of them (--input-type) no worker starts, and workers need none.
    this.#worker = new Worker(script, { execArgv: [], ...options });
    this.#worker.unref();
    this.#worker.on('message', (answer: Numbered<Answer>) => this.#answer(answer));
    this.#worker.on('messageerror', (error) => void this.end(error));
    this.#worker.on('error', (error) => void this.end(error instanceof Error ? error : new Error(String(error))));
    this.#worker.on('exit', (code) => void this.end(new Error(`The thread ${options.name} ended with code ${code}.`)));
  }

  get hasEnded(): boolean {
    return this.#endedBy !== undefined;
  }

  /**
   * @param handedOver memory of the request that the thread gets without a copy; this thread can no longer use it
   * @throws the reason why the thread ended; DataCloneError, and the thread goes on
   */
  ask(request: Request, handedOver: readonly ArrayBuffer[] = []): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#endedBy) throw this.#endedBy;
      this.#count += 1;
      this.#worker.postMessage({ number: this.#count, content: request } satisfies Numbered<Request>, handedOver);
      this.#pending.set(this.#count, { resolve, reject });
      this.#worker.ref();
    });
  }

  /** Stops the thread immediately. Resolves when it is gone. Of several reasons the first counts. */
  async end(reason: Error): Promise<void> {
    this.#endedBy ??= reason;
    for (const { reject } of this.#pending.values()) reject(this.#endedBy);
    this.#pending.clear();
    await this.#worker.terminate();
  }

  /** An answer may arrive after the thread was ended. */
  #answer({ number, content }: Numbered<Answer>): void {
    const asked = this.#pending.get(number);
    this.#pending.delete(number);
    if (this.#pending.size === 0) this.#worker.unref();
    asked?.resolve(content);
  }
}

/**
 * For the script of a thread: answers each request, in any order.
 * @param answer an error that it throws ends the thread
 */
export function answerRequests<Request, Answer>(answer: (request: Request) => Answer | Promise<Answer>): void {
  parentPort?.on('message', async ({ number, content }: Numbered<Request>) => {
    parentPort?.postMessage({ number, content: await answer(content) } satisfies Numbered<Answer>);
  });
}

/** A thread for one purpose: started at the first request, and again at the first request after it has ended. */
export class ThreadOnDemand<Request, Answer> {
  readonly #script: URL;
  readonly #options: WorkerOptions;
  #thread: WorkerThread<Request, Answer> | undefined;
  #isClosed = false;

  constructor(script: URL, options: WorkerOptions) {
    this.#script = script;
    this.#options = options;
  }

  /** The running thread, or a new one. @throws after `close` */
  get current(): WorkerThread<Request, Answer> {
    if (this.#isClosed) throw this.#closed();
    if (this.#thread === undefined || this.#thread.hasEnded) this.#thread = new WorkerThread(this.#script, this.#options);
    return this.#thread;
  }

  /** Rejects unanswered requests. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#thread?.end(this.#closed());
  }

  #closed(): Error {
    return new Error(`The thread ${this.#options.name} is closed.`);
  }
}

/**
 * The script of a worker that lies beside its module, by its name without extension. tsc rewrites import specifiers, but not this
 * string: from source the worker is TypeScript, too.
 *
 * @param moduleUrl `import.meta.url`
 */
export function workerScript(name: string, moduleUrl: string): URL {
  return new URL(`./${name}${moduleUrl.endsWith('.ts') ? '.ts' : '.js'}`, moduleUrl);
}
