/** One write to a file, which is opened before and closed after. */
export interface WriteRequest {
  path: string;
  position: number;
  /** True when the file is created if it is missing. */
  mayCreate: boolean;
  /** Where the bytes start in the shared memory. */
  start: number;
  bytes: number;
}

/** The number of bytes written, perhaps fewer than given; or the system's error. */
export type WriteAnswer = number | { code: string; message: string };

/** The answers to some writes; undefined when every write was complete. */
export type WriteAnswers = readonly WriteAnswer[] | undefined;

export interface SmallWrite extends Pick<WriteRequest, 'path' | 'position' | 'mayCreate' | 'bytes'> {
  buffers: readonly Uint8Array[];
}

interface Job extends SmallWrite {
  resolve(bytes: number): void;
  reject(error: unknown): void;
}

/** The most bytes of one write. */
export const MAX_SMALL_BYTES: number = 32 * 1024;
/** The most bytes of one message to the thread. Further writes wait for the next message. */
const SHARED_BYTES = 1024 * 1024;

/**
 * Thousands of uploads that receive a few KiB a second each need thousands of writes a second, to as many files. A file that stays open
 * costs a descriptor; opening, writing and closing it in Node's thread pool takes three hops, which cost more than all other work on
 * these bytes. So one thread makes these calls in sequence, for all writes of one turn of the event loop.
 */
export class SmallWrites {
  /** The thread reads the bytes from here. */
  readonly memory: SharedArrayBuffer = new SharedArrayBuffer(SHARED_BYTES);
  readonly #bytes = new Uint8Array(this.memory);
  readonly #ask: (writes: WriteRequest[]) => Promise<WriteAnswers>;
  readonly #waiting: Job[] = [];
  #isWorking = false;

  /** @param ask one message to the thread */
  constructor(ask: (writes: WriteRequest[]) => Promise<WriteAnswers>) {
    this.#ask = ask;
  }

  /**
   * Resolves to the number of bytes written, perhaps fewer than given. The buffers are read until then.
   * @throws the system's error: the bytes may be written or not
   */
  add(write: SmallWrite): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ ...write, resolve, reject });
      if (this.#isWorking) return;
      this.#isWorking = true;
      // The other writes of this turn go into the same message.
      setImmediate(() => void this.#work());
    });
  }

  async #work(): Promise<void> {
    while (this.#waiting.length > 0) {
      const { jobs, requests } = this.#gather();
      try {
        const answers = await this.#ask(requests);
        for (const [index, job] of jobs.entries()) settle(job, answers?.[index]);
      } catch (error) {
        for (const { reject } of jobs) reject(error);
      }
    }
    this.#isWorking = false;
  }

  /** Takes as many jobs as fit into the shared memory, and copies their bytes. */
  #gather(): { jobs: Job[]; requests: WriteRequest[] } {
    const requests: WriteRequest[] = [];
    let filled = 0;
    for (const { path, position, mayCreate, bytes, buffers } of this.#waiting) {
      if (filled + bytes > SHARED_BYTES) break;
      requests.push({ path, position, mayCreate, start: filled, bytes });
      for (const buffer of buffers) {
        this.#bytes.set(buffer, filled);
        filled += buffer.byteLength;
      }
    }
    return { jobs: this.#waiting.splice(0, requests.length), requests };
  }
}

function settle({ bytes, resolve, reject }: Job, answer: WriteAnswer = bytes): void {
  if (typeof answer === 'number') resolve(answer);
  else reject(Object.assign(new Error(answer.message), { code: answer.code }));
}
