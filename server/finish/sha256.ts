import { Worker } from 'node:worker_threads';

/** A chunk of a stream; without one, its end. */
export interface HashRequest {
  id: number;
  chunk?: Uint8Array;
  isAbandoned?: boolean;
}

export interface HashedChunk {
  id: number;
  /** At the end: 64 hex digits. */
  digest?: string;
}

interface Waiting {
  resolve: (answer: HashedChunk) => void;
  reject: (error: Error) => void;
}

/** tsc rewrites import specifiers, but not this string: from source the worker is TypeScript too. */
const WORKER_URL = new URL(`./sha256-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/**
 * SHA-256 off the main thread: 1 GiB takes a core about a second, during which nobody else would be served. The worker
 * starts at the first need and does not keep the process alive while idle.
 */
export class Sha256 {
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker | undefined;
  #nextId = 1;
  #isClosed = false;

  /**
   * 64 hex digits. One chunk of a stream is on its way at a time, so that memory stays that of one chunk.
   * @throws what the stream throws; an Error when the worker ended
   */
  async digest(content: AsyncIterable<Uint8Array>): Promise<string> {
    const id = this.#nextId++;
    let isWhole = false;
    try {
      for await (const chunk of content) await this.#ask({ id, chunk });
      isWhole = true;
    } finally {
      if (!isWhole) await this.#ask({ id, isAbandoned: true }).catch(() => undefined);
    }
    const { digest } = await this.#ask({ id });
    if (digest === undefined) throw new Error('The hashing worker gave no digest.');
    return digest;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #ask(request: HashRequest): Promise<HashedChunk> {
    if (this.#isClosed) return Promise.reject(new Error('Hashing has ended.'));
    const worker = this.#worker ?? this.#start();
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      worker.ref();
      worker.postMessage(request);
    });
  }

  #start(): Worker {
    const worker = new Worker(WORKER_URL, { name: 'landfall-sha256', execArgv: [] });
    this.#worker = worker;
    worker.on('message', (answer: HashedChunk) => {
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if (this.#waiting.size === 0) worker.unref();
      waiting?.resolve(answer);
    });
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`The hashing worker ended with code ${code}.`)));
    return worker;
  }

  #fail(error: unknown): void {
    this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) reject(error instanceof Error ? error : new Error(String(error)));
    this.#waiting.clear();
  }
}
