// Writes the log in batches: a busy server logs a line for each upload, and each write is a hop to another thread.

/** Short enough that nobody who reads the log notices. */
const BATCH_MS = 10;

/** The methods of pino's own destination that are used here. */
interface Destination {
  write(text: string): unknown;
  flushSync(): void;
}

export class BatchedLog {
  readonly #destination: Destination;
  #lines = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  write(line: string): void {
    this.#lines += line;
    this.#timer ??= setTimeout(() => this.#pass(), BATCH_MS).unref();
  }

  /** Writes everything at once, for the end of the process. pino calls it after a fatal line, too. */
  flushSync(): void {
    clearTimeout(this.#timer);
    this.#pass();
    this.#destination.flushSync();
  }

  #pass(): void {
    this.#timer = undefined;
    const lines = this.#lines;
    this.#lines = '';
    if (lines !== '') this.#destination.write(lines);
  }
}
