import { HEAD_BYTES } from '../../shared/formats.ts';
import { ThreadOnDemand, type WorkerThread, workerScript } from '../runtime/worker.ts';
import { CheckCrash } from './check.ts';

/** What the first bytes look like. Nothing set: they look like nothing known. */
export interface Detection {
  /** file-type's name of the format, without a dot. */
  ext?: string;
  /** file-type's media type. */
  mime?: string;
  /** libmagic's media type, where it was asked: for what file-type does not know or tells by too little. */
  magic?: string;
}

/** The first bytes of some content; `ready?` is answered as soon as the parsers are loaded. */
export type DetectorRequest = 'ready?' | Uint8Array;
export type DetectorAnswer = 'ready' | Detection;

export interface DetectorOptions {
  /** What one detection may take, waiting for its turn not counted. 5 s by default. */
  timeLimitMs?: number;
  /** Another worker's script, for tests. */
  workerUrl?: URL;
}

interface Job {
  readonly head: Uint8Array;
  readonly resolve: (detection: Detection) => void;
  readonly reject: (error: unknown) => void;
}

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
  readonly #threads: ThreadOnDemand<DetectorRequest, DetectorAnswer>;
  readonly #queue: Job[] = [];
  /** The thread whose parsers are loaded. */
  #ready: WorkerThread<DetectorRequest, DetectorAnswer> | undefined;
  #isWorking = false;
  #isClosed = false;

  constructor(options: DetectorOptions = {}) {
    this.#timeLimitMs = options.timeLimitMs ?? DEFAULT_TIME_LIMIT_MS;
    this.#threads = new ThreadOnDemand(options.workerUrl ?? workerScript('detector-worker', import.meta.url), {
      name: 'landfall-detector',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT_MB },
    });
  }

  /**
   * `head`: the first bytes. Only the first 4100 are looked at, so that an early look and the final one see the same.
   *
   * @throws CheckCrash when these bytes used up the time limit or took the worker down
   * @throws Error when the detector is closed or its worker cannot start: not the file's doing
   */
  detect(head: Uint8Array): Promise<Detection> {
    return new Promise((resolve, reject) => {
      // A copy: the head may be a view of a large buffer, which would be cloned whole.
      this.#queue.push({ head: Uint8Array.from(head.subarray(0, HEAD_BYTES)), resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  /** Ends the worker; what runs or waits is rejected. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#threads.close();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    while (this.#queue.length > 0) {
      try {
        this.#ready = await this.#loaded();
        const job = this.#queue.shift();
        if (job) await this.#run(this.#ready, job);
      } catch (error) {
        // Nobody's doing; but all who wait are told, or they would wait through one failing start after another.
        for (const { reject } of this.#queue.splice(0)) reject(error);
      }
    }
    this.#isWorking = false;
  }

  async #loaded(): Promise<WorkerThread<DetectorRequest, DetectorAnswer>> {
    const thread = this.#threads.current;
    if (thread !== this.#ready) {
      await within(START_LIMIT_MS, thread, () => new Error('The detector worker did not start.'), thread.ask('ready?'));
    }
    return thread;
  }

  /** The content that a thread is at when it ends pays for it. */
  async #run(thread: WorkerThread<DetectorRequest, DetectorAnswer>, { head, resolve, reject }: Job): Promise<void> {
    const tooLong = () => new CheckCrash(`Looking at the first bytes took more than ${this.#timeLimitMs} ms.`);
    try {
      resolve((await within(this.#timeLimitMs, thread, tooLong, thread.ask(head))) as Detection);
    } catch (cause) {
      const isOurs = this.#isClosed || cause instanceof CheckCrash;
      reject(isOurs ? cause : new CheckCrash('Looking at the first bytes took the worker down.', { cause }));
    }
  }
}

/** Ends the thread, and with it what was asked of it, when the answer takes longer. */
async function within<T>(limitMs: number, thread: WorkerThread<never, T>, error: () => Error, answer: Promise<T>): Promise<T> {
  const timer = setTimeout(() => void thread.end(error()), limitMs).unref();
  return answer.finally(() => clearTimeout(timer));
}
