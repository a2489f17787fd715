import { ThreadOnDemand, workerScript } from '../runtime/worker.ts';
import { type SmallWrite, SmallWrites, type WriteAnswers, type WriteRequest } from './small-writes.ts';

/** A request to the thread. Requests are idempotent. */
export type DiskRequest =
  | {
      /** Path of a small file that is created if it is missing, and durable afterwards, but not its name. */
      store: string;
      /** Must not change before the request is done. */
      buffers: readonly Uint8Array[];
      /** Where in the file the bytes begin. */
      at: number;
    }
  | OtherRequest;

/** A request without bytes. */
export type OtherRequest =
  | {
      /** Created if it is missing, and durable. */
      root: string;
      /** A directory some levels below: created if it is missing, and finally durable with its entries. */
      folder: string;
      /** Undefined: the file exists already. */
      link?: { from: string; to: string };
    }
  /** Path of a file that exists. Its bytes are durable afterwards, but not its name. */
  | { sync: string }
  /** Deletes this name only while another name has the bytes: a file system needs time to free gigabytes. */
  | { unlink: string };

/** What the thread gets at once. A buffer handed over for each request would cost more than the copy into one for all. */
export interface DiskBatch {
  requests: (StoreRequest | OtherRequest)[];
  /** The bytes of all files to store, one after another. */
  bytes: Uint8Array<ArrayBuffer>;
}

/** @property length number of the file's bytes in the batch */
export interface StoreRequest {
  store: string;
  length: number;
  at: number;
}

/**
 * `no-link`: the directory exists, but its file system cannot make this link. `no-file`: the name to link or to unlink is missing.
 * `last-link`: not unlinked, because it is the file's last name. Otherwise the system's error.
 */
export type DiskAnswer = DiskOutcome | { code: string; message: string };
export type DiskOutcome = 'done' | 'no-link' | 'no-file' | 'last-link';

/** What the thread gets in one message. It answers writes at once, also while it waits for the syncs of earlier requests. */
export type DiskMessage = DiskBatch | { writes: WriteRequest[] };
export type DiskAnswers = DiskAnswer[] | WriteAnswers;

interface Job {
  request: DiskRequest;
  resolve(outcome: DiskOutcome): void;
  reject(error: unknown): void;
}

/** Errors of a link that is not possible: another device, a file system without links, a user without the right. */
export const NO_LINK: ReadonlySet<string> = new Set(['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'ENOSYS']);

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/**
 * Storing and publishing a small file takes a dozen cheap system calls; a hop to the thread pool and back for each costs several times
 * as much as the call. So one thread makes the calls, for all uploads that are waiting. It makes the small writes of slow uploads, too:
 * another thread would cost another 20 MiB. An idle thread does not keep the process alive.
 */
export class DiskThread {
  readonly #writes: SmallWrites = new SmallWrites((writes) => this.#threads.current.ask({ writes }) as Promise<WriteAnswers>);
  readonly #threads: ThreadOnDemand<DiskMessage, DiskAnswers> = new ThreadOnDemand(workerScript('disk-worker', import.meta.url), {
    name: 'landfall-disk',
    workerData: this.#writes.memory,
  });
  #waiting: Job[] = [];
  #isWorking = false;

  /** Starts the thread before it is needed. */
  start(): void {
    void this.#threads.current;
  }

  /** @throws the system's error; the request may then be done, not done, or done in part */
  do(request: DiskRequest): Promise<DiskOutcome> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (!this.#isWorking) void this.#work();
    });
  }

  /** A write of at most `MAX_SMALL_BYTES`. See `SmallWrites.add`. */
  write(write: SmallWrite): Promise<number> {
    return this.#writes.add(write);
  }

  close(): Promise<void> {
    return this.#threads.close();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    // Requests of the same turn of the event loop go into the first batch.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#waiting.length > 0) {
      const jobs = this.#waiting;
      this.#waiting = [];
      try {
        const batch = batchOf(jobs);
        const answers = (await this.#threads.current.ask(batch, [batch.bytes.buffer])) as DiskAnswer[];
        for (const [index, job] of jobs.entries()) settle(job, answers[index]);
      } catch (error) {
        for (const { reject } of jobs) reject(error);
      }
    }
    this.#isWorking = false;
  }
}

function batchOf(jobs: readonly Job[]): DiskBatch {
  const buffers: Uint8Array[] = [];
  let end = 0;
  const requests = jobs.map(({ request }) => {
    if (!('store' in request)) return request;
    const start = end;
    for (const buffer of request.buffers) {
      buffers.push(buffer);
      end += buffer.byteLength;
    }
    return { store: request.store, length: end - start, at: request.at };
  });
  return { requests, bytes: joined(buffers, end) };
}

/** A copy in memory of its own, which can be handed over to another thread. */
function joined(buffers: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const buffer of buffers) {
    bytes.set(buffer, at);
    at += buffer.byteLength;
  }
  return bytes;
}

function settle({ resolve, reject }: Job, answer: DiskAnswer = { code: '', message: 'The disk thread gave no answer.' }): void {
  if (typeof answer === 'string') resolve(answer);
  else reject(Object.assign(new Error(answer.message), { code: answer.code }));
}
