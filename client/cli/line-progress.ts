import type { QueueSnapshot } from '../handle/queue.ts';
import type { Progress } from './progress.ts';
import { totalText } from './terminal-progress.ts';

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
