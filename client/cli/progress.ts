import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import { totalText } from './describe.ts';

/** Shows progress and messages on standard error. */
export interface Progress {
  update(snapshot: QueueSnapshot): void;
  /** Prints an informative line above the progress display. */
  info(text: string): void;
  /** Prints an error in the same way. */
  error(text: string): void;
  /** Runs `print`, which writes to the same terminal, with the progress display erased. */
  printAround(print: () => void): void;
  stop(): void;
}

/** Shows messages only. */
export function noProgress(write: (text: string) => unknown, options: { notes: boolean }): Progress {
  const line = (text: string) => void write(`${text}\n`);
  return { update: () => {}, info: options.notes ? line : () => {}, error: line, printAround: (print) => print(), stop: () => {} };
}

const PRINT_EVERY_MS = 10_000;

/** For files and pipes: prints a line with the totals every ten seconds. */
export class LineProgress implements Progress {
  readonly #write: (text: string) => unknown;
  #latest: QueueSnapshot | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(write: (text: string) => unknown) {
    this.#write = write;
  }

  update(snapshot: QueueSnapshot): void {
    this.#latest = snapshot;
    this.#timer ??= setInterval(() => this.#print(), PRINT_EVERY_MS);
  }

  info(text: string): void {
    this.#write(`${text}\n`);
  }

  error(text: string): void {
    this.#write(`${text}\n`);
  }

  printAround(print: () => void): void {
    print();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #print(): void {
    if (this.#latest === undefined) return;
    this.#write(`${totalText(this.#latest)}\n`);
  }
}
