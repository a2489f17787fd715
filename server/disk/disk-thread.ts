import { Worker } from 'node:worker_threads';

/** What the thread does. Again for the same names is fine. */
export type DiskRequest =
  | {
      /** Made, and durable. */
      root: string;
      /** A directory some levels below: made where it is not, and durable in the end with all that is in it. */
      folder: string;
      /** Undefined: the file is there already. */
      link?: { from: string; to: string };
    }
  /** Only while another name has the bytes: to free gigabytes takes a file system its time. */
  | { unlink: string };

/**
 * `no-link`: the folder is made, but its file system has no such link. `no-file`: the name to link or to unlink is not there.
 * `last-link`: not unlinked. Otherwise what the system said.
 */
export type DiskAnswer = DiskOutcome | { code: string; message: string };
export type DiskOutcome = 'done' | 'no-link' | 'no-file' | 'last-link';

interface Job {
  request: DiskRequest;
  resolve(outcome: DiskOutcome): void;
  reject(error: Error): void;
}

/** Links that cannot be: another device, a file system without them, a user who may not. */
export const NO_LINK: ReadonlySet<string> = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS']);

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** tsc rewrites import specifiers, but not this string: from source the worker is TypeScript too. */
const WORKER_URL = new URL(`./disk-worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

/**
 * Publishing a file takes a dozen calls of the system, each of which does next to nothing; a hop to the thread pool and back
 * for each costs several times that. So a thread of its own makes them one after another, for all uploads that have come so
 * far meanwhile; a sync serves them all. While idle it does not keep the process alive.
 */
export class DiskThread {
  #waiting: Job[] = [];
  #running: Job[] = [];
  #worker: Worker | undefined;
  #isClosed = false;

  /** Ahead of the first need. */
  start(): void {
    this.#started().unref();
  }

  /** @throws what the system says; then what was asked for is done, or not, or in part */
  do(request: DiskRequest): Promise<DiskOutcome> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(new Error('The disk thread has ended.'));
        return;
      }
      this.#waiting.push({ request, resolve, reject });
      this.#next();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#worker?.terminate();
  }

  #next(): void {
    if (this.#running.length > 0 || this.#waiting.length === 0) return;
    this.#running = this.#waiting;
    this.#waiting = [];
    const worker = this.#started();
    worker.ref();
    worker.postMessage(this.#running.map(({ request }) => request));
  }

  #started(): Worker {
    if (this.#worker !== undefined) return this.#worker;
    const worker = new Worker(WORKER_URL, { name: 'landfall-disk', execArgv: [] });
    worker.on('message', (answers: DiskAnswer[]) => this.#receive(answers));
    worker.on('error', (error) => this.#fail(error));
    worker.on('exit', (code) => this.#fail(new Error(`The disk thread ended with code ${code}.`)));
    this.#worker = worker;
    return worker;
  }

  #receive(answers: readonly DiskAnswer[]): void {
    const jobs = this.#running;
    this.#running = [];
    if (this.#waiting.length === 0) this.#worker?.unref();
    else this.#next();
    for (const [index, { resolve, reject }] of jobs.entries()) {
      const answer = answers[index] ?? { code: '', message: 'The disk thread gave no answer.' };
      if (typeof answer === 'string') resolve(answer);
      else reject(Object.assign(new Error(answer.message), { code: answer.code }));
    }
  }

  #fail(error: unknown): void {
    this.#worker = undefined;
    const jobs = [...this.#running, ...this.#waiting];
    this.#running = [];
    this.#waiting = [];
    for (const { reject } of jobs) reject(error instanceof Error ? error : new Error(String(error)));
  }
}
