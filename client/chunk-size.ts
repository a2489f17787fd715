import type { ChunkLimits } from './ports.ts';

/** A chunk should take about 8 s: long enough that the turn-around between two does not matter, short enough to lose. */
const QUICK_MS = 4000;
const SLOW_MS = 20_000;
/** A proxy that takes less in one body than this is not one for uploads. nginx takes 1 MiB by default. */
export const SMALLEST_CHUNK = 64 * 1024;

/** How many bytes the next PATCH carries. */
export class ChunkSize {
  readonly #limits: ChunkLimits;
  readonly #isFixed: boolean;
  #bytes: number;
  /** No more than this passes, as a 413 taught. */
  #ceiling = Number.POSITIVE_INFINITY;

  constructor(limits: ChunkLimits, fixed?: number) {
    this.#limits = limits;
    this.#isFixed = fixed !== undefined;
    this.#bytes = fixed ?? (limits.wholeBody ? Number.POSITIVE_INFINITY : limits.startBytes);
  }

  get bytes(): number {
    return Math.min(this.#bytes, this.#ceiling);
  }

  /** @param ms from the first byte sent to the answer */
  succeeded(sentBytes: number, ms: number): void {
    // A shorter one, as the last, tells nothing about the next.
    if (this.#isFixed || !Number.isFinite(this.#bytes) || sentBytes < this.bytes) return;
    if (ms < QUICK_MS) this.#bytes = Math.min(this.bytes * 2, this.#limits.maxBytes);
    else if (ms > SLOW_MS) this.#halve();
  }

  /** A body did not get through. */
  failed(): void {
    if (!this.#isFixed && Number.isFinite(this.#bytes)) this.#halve();
  }

  /** A body of so many bytes was too much for something in between. False when smaller ones would not help either. */
  tooLarge(sentBytes: number): boolean {
    if (sentBytes <= SMALLEST_CHUNK) return false;
    // From a whole file straight to what a chunk is, not by a halving for each power of two.
    this.#ceiling = Math.max(Math.min(Math.floor(sentBytes / 2), this.#limits.maxBytes), SMALLEST_CHUNK);
    return true;
  }

  #halve(): void {
    this.#bytes = Math.max(Math.floor(this.bytes / 2), Math.min(this.#limits.minBytes, this.#bytes));
  }
}
