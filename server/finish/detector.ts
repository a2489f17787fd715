import { Worker } from 'node:worker_threads';
import { CheckCrash, HEAD_BYTES } from './check.ts';

/** What the first bytes look like. Nothing set: they look like nothing known. */
export interface Detection {
  /** file-type's name of the format, without a dot. */
  ext?: string;
  /** file-type's media type. */
  mime?: string;
  /** libmagic's media type, where it was asked: for what file-type does not know or tells by too little. */
  magic?: string;
}

export interface DetectionRequest {
  id: number;
  head: Uint8Array;
}

export type DetectorMessage = 'ready' | { id: number; detection: Detection };

export interface DetectorOptions {
  /** What one detection may take, waiting for its turn not counted. 5 s by default. */
  timeLimitMs?: number;
  /** Another worker's script, for tests. */
  workerUrl?: URL;
}

interface Job {
  readonly request: DetectionRequest;
  readonly resolve: (detection: Detection) => void;
  readonly reject: (error: Error) => void;
}

/** tsc rewrites import specifiers, but not this string: from source the worker is TypeScript too. */
const WORKER_URL = new URL(`./detector-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

const DEFAULT_TIME_LIMIT_MS = 5000;
/** For a new thread to load its parsers, on a loaded machine too. Never counted against a file. */
const START_LIMIT_MS = 60_000;
/** Several times what the parsers were seen to take; a parser that wants more ends its thread, not the process. */
const HEAP_LIMIT_MB = 256;

/**
 * Tells formats by their first bytes in one worker thread, started at the first need, which does not keep the process
 * alive while idle. One detection at a time, so that the one that hangs is known and costs only itself.
 */
export class Detector {
  readonly #timeLimitMs: number;
  readonly #workerUrl: URL;
  readonly #queue: Job[] = [];
  #worker: Worker | undefined;
  #ready = false;
  #running: Job | undefined;
  #timer: NodeJS.Timeout | undefined;
  #nextId = 1;
  #closed = false;

  constructor(options: DetectorOptions = {}) {
    this.#timeLimitMs = options.timeLimitMs ?? DEFAULT_TIME_LIMIT_MS;
    this.#workerUrl = options.workerUrl ?? WORKER_URL;
  }

  /**
   * `head`: the first bytes. Only the first 4100 are looked at, so that an early look and the final one see the same.
   *
   * @throws CheckCrash when these bytes used up the time limit or took the worker down
   * @throws Error when the detector is closed or its worker cannot start: not the file's doing
   */
  detect(head: Uint8Array): Promise<Detection> {
    if (this.#closed) return Promise.reject(new Error('The detector is closed.'));
    return new Promise((resolve, reject) => {
      // A copy: the head may be a view of a large buffer, which would be cloned whole.
      const request = { id: this.#nextId++, head: Uint8Array.from(head.subarray(0, HEAD_BYTES)) };
      this.#queue.push({ request, resolve, reject });
      this.#next();
    });
  }

  /** Ends the worker; what runs or waits is rejected. */
  async close(): Promise<void> {
    this.#closed = true;
    const error = new Error('The detector is closed.');
    for (const job of this.#queue.splice(0)) job.reject(error);
    const worker = this.#worker;
    this.#drop(error);
    await worker?.terminate();
  }

  #next(): void {
    if (this.#running !== undefined || this.#queue.length === 0) return;
    const worker = this.#worker ?? this.#start();
    worker.ref();
    if (!this.#ready) return;
    const job = this.#queue.shift();
    if (job === undefined) return;
    this.#running = job;
    this.#limit(worker, this.#timeLimitMs, () => new CheckCrash(`Looking at the first bytes took more than ${this.#timeLimitMs} ms.`));
    worker.postMessage(job.request);
  }

  #start(): Worker {
    const worker = new Worker(this.#workerUrl, {
      name: 'landfall-detector',
      // Without the flags of the main thread: with some (--input-type) no worker starts, and none is for this one.
      execArgv: [],
      resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB },
    });
    this.#worker = worker;
    this.#limit(worker, START_LIMIT_MS, () => new Error('The detector worker did not start.'));
    worker.on('message', (message: DetectorMessage) => this.#receive(worker, message));
    worker.on('error', (error) => this.#fail(worker, error));
    worker.on('exit', (code) => this.#fail(worker, new Error(`The detector worker ended with code ${code}.`)));
    return worker;
  }

  #receive(worker: Worker, message: DetectorMessage): void {
    if (worker !== this.#worker) return;
    clearTimeout(this.#timer);
    if (message === 'ready') this.#ready = true;
    else {
      this.#running?.resolve(message.detection);
      this.#running = undefined;
    }
    if (this.#queue.length === 0) worker.unref();
    else this.#next();
  }

  /** Only the worker in use counts: a terminated one still reports its exit. */
  #fail(worker: Worker, cause: Error): void {
    if (worker !== this.#worker) return;
    this.#drop(this.#ready ? new CheckCrash('Looking at the first bytes took the worker down.', { cause }) : cause);
    this.#next();
  }

  #limit(worker: Worker, milliseconds: number, error: () => Error): void {
    this.#timer = setTimeout(() => {
      if (worker !== this.#worker) return;
      this.#drop(error());
      void worker.terminate();
      this.#next();
    }, milliseconds).unref();
  }

  /**
   * Forgets the worker. The job it was at pays for it; one that never started is nobody's doing, but then all who
   * wait are told, or they would wait through one failing start after another.
   */
  #drop(error: Error): void {
    clearTimeout(this.#timer);
    const started = this.#ready;
    this.#worker = undefined;
    this.#ready = false;
    this.#running?.reject(error);
    this.#running = undefined;
    if (!started) for (const job of this.#queue.splice(0)) job.reject(error);
  }
}
