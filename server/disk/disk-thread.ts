import { ThreadOnDemand, workerScript } from '../runtime/worker.ts';

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
  reject(error: unknown): void;
}

/** Links that cannot be: another device, a file system without them, a user who may not. */
export const NO_LINK: ReadonlySet<string> = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS']);

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/**
 * Publishing a file takes a dozen calls of the system, each of which does next to nothing; a hop to the thread pool and back
 * for each costs several times that. So a thread of its own makes them one after another, for all uploads that have come so
 * far meanwhile; a sync serves them all. While idle it does not keep the process alive.
 */
export class DiskThread {
  readonly #threads = new ThreadOnDemand<DiskRequest[], DiskAnswer[]>(workerScript('disk-worker', import.meta.url), {
    name: 'landfall-disk',
  });
  #waiting: Job[] = [];
  #isWorking = false;

  /** Ahead of the first need. */
  start(): void {
    void this.#threads.current;
  }

  /** @throws what the system says; then what was asked for is done, or not, or in part */
  do(request: DiskRequest): Promise<DiskOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    while (this.#waiting.length > 0) {
      const jobs = this.#waiting;
      this.#waiting = [];
      try {
        const answers = await this.#threads.current.ask(jobs.map(({ request }) => request));
        for (const [index, job] of jobs.entries()) settle(job, answers[index]);
      } catch (error) {
        for (const { reject } of jobs) reject(error);
      }
    }
    this.#isWorking = false;
  }
}

function settle({ resolve, reject }: Job, answer: DiskAnswer = { code: '', message: 'The disk thread gave no answer.' }): void {
  if (typeof answer === 'string') resolve(answer);
  else reject(Object.assign(new Error(answer.message), { code: answer.code }));
}
