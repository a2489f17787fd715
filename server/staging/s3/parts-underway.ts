import type { StoredPart } from '../../s3/multiparts.ts';

/** Parts of one body that are being sent, several at once, and how far everything is stored without a gap. */
export class PartsUnderway {
  readonly #concurrency: number;
  readonly #onStored: () => void;
  readonly #onFault: () => void;
  readonly #running = new Set<Promise<void>>();
  /** Parts on their way, and those stored that have one on its way before them. */
  readonly #ends = new Map<number, { end: number; isStored: boolean }>();
  readonly #stored = new Map<number, StoredPart>();
  #written: number;
  #fault: { error: unknown } | undefined;

  /** @param offset everything before it is stored */
  constructor(offset: number, concurrency: number, onStored: () => void, onFault: () => void) {
    this.#written = offset;
    this.#concurrency = concurrency;
    this.#onStored = onStored;
    this.#onFault = onFault;
  }

  /** Resolves when there is a place for another. @throws the first fault of those before */
  async place(): Promise<void> {
    while (this.#running.size >= this.#concurrency) await Promise.race(this.#running);
    this.throwFault();
  }

  /** @param end where the part ends in the upload */
  add(number: number, end: number, sent: Promise<StoredPart>, done: (isStored: boolean) => void): void {
    const place = { end, isStored: false };
    this.#ends.set(number, place);
    const sending = sent
      .then((part) => {
        this.#stored.set(number, part);
        place.isStored = true;
        this.#onStored();
      })
      .catch((error) => {
        this.#fault ??= { error };
        this.#onFault();
      })
      .finally(() => {
        this.#running.delete(sending);
        done(place.isStored);
      });
    this.#running.add(sending);
  }

  /**
   * How far everything is stored, where that is further than at the last call: up to the first part that is not; with all of
   * them stored, up to where the tails behind them end.
   */
  advance(tailsEnd: number): number | undefined {
    const before = this.#written;
    for (const [number, { end, isStored }] of this.#ends) {
      if (!isStored) break;
      this.#ends.delete(number);
      this.#written = end;
    }
    if (this.#ends.size === 0) this.#written = Math.max(this.#written, tailsEnd);
    return this.#written > before ? this.#written : undefined;
  }

  /** Those that this body sent, in the order of their numbers. */
  stored(): StoredPart[] {
    return [...this.#stored.values()].sort((a, b) => a.number - b.number);
  }

  /** None is on its way any more, whatever became of it. */
  async over(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  throwFault(): void {
    if (this.#fault) throw this.#fault.error;
  }
}
