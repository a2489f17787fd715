// A sender may not have more than so many uploads unfinished. A form cannot be resumed, so a file that is beyond that limit waits for
// the verdict on another file of its form, instead of being lost.
import { onAbort } from '../runtime/on-abort.ts';
import type { WaitForRoom } from '../staging/reservations.ts';

export class Turns {
  readonly #patienceMs: number;
  readonly #left: AbortSignal;
  /** Files that are being received or inspected, and do not wait. */
  #active = 0;
  #ended = 0;
  /** Waiting files, the first one first. Each is called once. */
  #waiting: ((isTurn: boolean) => void)[] = [];

  /**
   * @param patienceMs how long a file waits in total
   * @param left aborted when the sender has left or the server shuts down
   */
  constructor(patienceMs: number, left: AbortSignal) {
    this.#patienceMs = patienceMs;
    this.#left = left;
  }

  /** @param receive receives one file and waits for its verdict */
  async take<T>(receive: (waitForRoom: WaitForRoom) => Promise<T>): Promise<T> {
    let ended = this.#ended;
    let untilMs: number | undefined;
    const waitForRoom = async () => {
      untilMs ??= performance.now() + this.#patienceMs;
      // A file that ended since the last try may have made room.
      const isTurn = this.#ended > ended || (await this.#wait(untilMs - performance.now()));
      ended = this.#ended;
      return isTurn && !this.#left.aborted;
    };
    this.#active += 1;
    try {
      return await receive(waitForRoom);
    } finally {
      this.#active -= 1;
      this.#ended += 1;
      // One file at a time: hundreds that try at once would all but one be refused again.
      this.#waiting[0]?.(true);
    }
  }

  /** Resolves to false when no file of the form can make room, or none did in time. */
  async #wait(ms: number): Promise<boolean> {
    if (this.#active === 1 || ms <= 0 || this.#left.aborted) return false;
    this.#active -= 1;
    return new Promise((resolve) => {
      const end = (isTurn: boolean) => {
        clearTimeout(timer);
        forget();
        this.#waiting = this.#waiting.filter((other) => other !== end);
        // At once: until then another file would find that none is left to wait for.
        this.#active += 1;
        resolve(isTurn);
      };
      const timer = setTimeout(end, ms, false);
      const forget = onAbort(this.#left, () => end(false));
      this.#waiting.push(end);
    });
  }
}
