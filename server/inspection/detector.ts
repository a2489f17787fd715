import { HEAD_BYTES } from '../../shared/formats.ts';
import { ThreadOnDemand, type WorkerThread, workerScript } from '../runtime/worker.ts';
import { CheckCrash } from './check.ts';

/** What the first bytes look like. No field is set for an unknown format. */
export interface Detection {
  /** file-type's name of the format, without a dot. */
  ext?: string;
  /** file-type's media type. */
  mime?: string;
  /** libmagic's media type, for content that file-type does not know, or recognizes by too few bytes. */
  magic?: string;
}

/** The first bytes of some content; `ready?` is answered when the parsers are loaded. */
export type DetectorRequest = 'ready?' | Uint8Array;
export type DetectorAnswer = 'ready' | Detection;

export interface DetectorOptions {
  /** Time limit of one detection, without the wait for its turn. 5 s by default. */
  timeLimitMs?: number;
  /** The script of another worker, for tests. */
  workerUrl?: URL;
}

interface Job {
  readonly head: Uint8Array;
  readonly resolve: (detection: Detection) => void;
  readonly reject: (error: unknown) => void;
}

const DEFAULT_TIME_LIMIT_MS = 5000;
/** For a new thread to load its parsers, also on a busy machine. Never counted against a file. */
const START_LIMIT_MS = 60_000;
/** Several times what the parsers were measured to need; a parser that needs more ends its thread, not the process. */
const HEAP_LIMIT_MB = 256;

/**
 * Detects formats by their first bytes in one worker thread, which starts at the first detection and does not keep an idle process
 * alive. One detection runs at a time, so that the content that hangs or crashes a parser is known, and no other is lost.
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
   * `head`: the first bytes. Only 4100 of them are read, so that the early check and the final one see the same bytes.
   *
   * @throws CheckCrash when these bytes exceeded the time limit or crashed the worker
   * @throws Error when the detector is closed or its worker cannot start, which is not the file's fault
   */
  detect(head: Uint8Array): Promise<Detection> {
    return new Promise((resolve, reject) => {
      // A copy: the head may be a view of a large buffer, which would be cloned completely.
      this.#queue.push({ head: Uint8Array.from(head.subarray(0, HEAD_BYTES)), resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  /** Ends the worker. Running and waiting detections are rejected. */
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
        // No file is at fault. All waiting callers are told, or each would wait for another failing start.
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

  /** When the thread ends, the content that it was reading is at fault. */
  async #run(thread: WorkerThread<DetectorRequest, DetectorAnswer>, { head, resolve, reject }: Job): Promise<void> {
    const tooLong = () => new CheckCrash(`Reading the first bytes took more than ${this.#timeLimitMs} ms.`);
    try {
      resolve((await within(this.#timeLimitMs, thread, tooLong, thread.ask(head))) as Detection);
    } catch (cause) {
      const isOurs = this.#isClosed || cause instanceof CheckCrash;
      reject(isOurs ? cause : new CheckCrash('Reading the first bytes crashed the worker.', { cause }));
    }
  }
}

/** Ends the thread, with all its requests, when the answer takes longer than the limit. */
async function within<T>(limitMs: number, thread: WorkerThread<never, T>, error: () => Error, answer: Promise<T>): Promise<T> {
  const timer = setTimeout(() => void thread.end(error()), limitMs).unref();
  return answer.finally(() => clearTimeout(timer));
}
