import type { StoredPart } from '../../s3/multiparts.ts';

/** The parts of one body that are being sent, several at once, and the offset up to which all bytes are stored without a gap. */
export class PartsInFlight {
  readonly #concurrency: number;
  readonly #onStored: () => void;
  readonly #onFault: () => void;
  readonly #running = new Set<Promise<void>>();
  /** Parts in flight, and stored parts behind a part in flight. */
  readonly #ends = new Map<number, { end: number; isStored: boolean }>();
  readonly #stored = new Map<number, StoredPart>();
  #written: number;
  #fault: { error: unknown } | undefined;

  /** @param offset all bytes before it are stored */
  constructor(offset: number, concurrency: number, onStored: () => void, onFault: () => void) {
    this.#written = offset;
    this.#concurrency = concurrency;
    this.#onStored = onStored;
    this.#onFault = onFault;
  }

  /** Resolves when another part may be sent. @throws the first fault of the earlier parts */
  async untilFree(): Promise<void> {
    while (this.#running.size >= this.#concurrency) await Promise.race(this.#running);
    this.throwFault();
  }

  /** @param end offset of the part's end in the upload */
  add(number: number, end: number, sent: Promise<StoredPart>, done: (isStored: boolean) => void): void {
    const entry = { end, isStored: false };
    this.#ends.set(number, entry);
    const sending = sent
      .then((part) => {
        this.#stored.set(number, part);
        entry.isStored = true;
        this.#onStored();
      })
      .catch((error) => {
        this.#fault ??= { error };
        this.#onFault();
      })
      .finally(() => {
        this.#running.delete(sending);
        done(entry.isStored);
      });
    this.#running.add(sending);
  }

  /**
   * The offset up to which all bytes are stored: the start of the first part that is not stored, or, when all parts are stored, the end
   * of the tails behind them. Undefined when it is the same as at the last call.
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

  /** The stored parts of this body, in the order of their numbers. */
  stored(): StoredPart[] {
    return [...this.#stored.values()].sort((a, b) => a.number - b.number);
  }

  /** Resolves when no part is in flight, stored or failed. */
  async settled(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  throwFault(): void {
    if (this.#fault) throw this.#fault.error;
  }
}
