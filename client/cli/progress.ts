import type { QueueSnapshot } from '../handle/queue-snapshot.ts';
import { totalText } from './describe.ts';

/** How progress is shown, where it is. */
export interface Progress {
  update(snapshot: QueueSnapshot): void;
  /** A line that stays, beside whatever is drawn: good to know. */
  note(text: string): void;
  /** The same for what went wrong. */
  complain(text: string): void;
  /** For what is written to the same terminal by others: nothing is drawn while `print` runs. */
  aside(print: () => void): void;
  stop(): void;
}

/** No figures. */
export function noProgress(write: (text: string) => unknown, options: { notes: boolean }): Progress {
  const line = (text: string) => void write(`${text}\n`);
  return { update: () => {}, note: options.notes ? line : () => {}, complain: line, aside: (print) => print(), stop: () => {} };
}

const TELL_EVERY_MS = 10_000;

/** For files and pipes: a line of the total every ten seconds, nothing that moves. */
export class LineProgress implements Progress {
  readonly #write: (text: string) => unknown;
  #latest: QueueSnapshot | undefined;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(write: (text: string) => unknown) {
    this.#write = write;
  }

  update(snapshot: QueueSnapshot): void {
    this.#latest = snapshot;
    this.#timer ??= setInterval(() => this.#tell(), TELL_EVERY_MS);
  }

  note(text: string): void {
    this.#write(`${text}\n`);
  }

  complain(text: string): void {
    this.#write(`${text}\n`);
  }

  aside(print: () => void): void {
    print();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tell(): void {
    if (this.#latest === undefined) return;
    this.#write(`${totalText(this.#latest)}\n`);
  }
}
