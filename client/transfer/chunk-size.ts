import type { ChunkLimits } from '../ports.ts';

/** A chunk should take about 8 s: long enough that the turn-around between two does not matter, short enough to lose. */
const QUICK_MS = 4000;
const SLOW_MS = 20_000;
/** A proxy that takes less in one body than this is not one for uploads. nginx takes 1 MiB by default. */
export const SMALLEST_CHUNK_BYTES: number = 64 * 1024;

/** After a size that never got through failed, so many chunks of the next smaller one come first; four times as many each time. */
const MORE_CAUTION = 4;
const MOST_CAUTION = 256;
/** After a break, or a chunk that took too long, it takes so many bytes without another until chunks carry checksums again. */
const STEADY_BYTES = 64 * 1024 * 1024;

/** How many bytes the next PATCH carries. */
export class ChunkSize {
  readonly #limits: ChunkLimits;
  readonly #isFixed: boolean;
  #bytes: number;
  /** No more than this passes, as a 413 taught. */
  #ceilingBytes = Number.POSITIVE_INFINITY;
  /** The largest that got through. */
  #provenBytes = 0;
  /** So many quick ones in a row double it. */
  #caution = 1;
  #quickOnes = 0;
  #steadyBytes = Number.POSITIVE_INFINITY;

  constructor(limits: ChunkLimits, fixed?: number) {
    this.#limits = limits;
    this.#isFixed = fixed !== undefined;
    this.#bytes = fixed ?? (limits.wholeBody ? Number.POSITIVE_INFINITY : limits.startBytes);
  }

  get bytes(): number {
    return Math.min(this.#bytes, this.#ceilingBytes);
  }

  /**
   * How many bytes the first PATCH of a file carries at most. The server looks at what a file begins with once the chunk's checksum is
   * right, and a browser hears of it once the chunk is sent: of a large file a few bytes go ahead, so that a refusal costs no more.
   * A body that is all of the file has no checksum of its own, and can be refused while it is sent.
   *
   * @param size of the file; null: unknown
   */
  first(size: number | null): number {
    const isSmall = size !== null && size <= this.#limits.minBytes;
    return this.#isFixed || isSmall || !Number.isFinite(this.bytes) ? this.bytes : SMALLEST_CHUNK_BYTES;
  }

  /**
   * A checksum of its own is worth it. Of a chunk with one that breaks off the server keeps nothing: a body that may be all
   * of the file would start over, on a link that breaks again and again each byte would go several times, and on a slow one a
   * page that is closed would lose minutes. There the checksum of the whole file is left.
   */
  get isVerifiable(): boolean {
    return Number.isFinite(this.bytes) && this.#steadyBytes >= STEADY_BYTES;
  }

  /** @param ms from the first byte sent to the answer */
  succeeded(sentBytes: number, ms: number): void {
    this.#steadyBytes = ms > SLOW_MS ? 0 : this.#steadyBytes + sentBytes;
    // A shorter one, as the last, tells nothing about the next.
    if (this.#isFixed || !Number.isFinite(this.#bytes) || sentBytes < this.bytes) return;
    if (sentBytes > this.#provenBytes) {
      this.#provenBytes = sentBytes;
      this.#caution = 1;
    }
    if (ms > SLOW_MS) this.#halve();
    else if (ms < QUICK_MS && ++this.#quickOnes >= this.#caution) {
      this.#bytes = Math.min(this.bytes * 2, this.#limits.maxBytes);
      this.#quickOnes = 0;
    }
  }

  /**
   * A body did not get through. A page of another origin is not shown the 413 of a proxy, only a broken connection: so a size
   * that never got through is suspected, and not tried again after each chunk that does.
   */
  failed(): void {
    this.#steadyBytes = 0;
    if (this.#isFixed || !Number.isFinite(this.#bytes)) return;
    if (this.bytes > this.#provenBytes) this.#caution = Math.min(this.#caution * MORE_CAUTION, MOST_CAUTION);
    this.#quickOnes = 0;
    this.#halve();
  }

  /** A body of so many bytes was too much for something in between. False when smaller ones would not help either. */
  tooLarge(sentBytes: number): boolean {
    if (sentBytes <= SMALLEST_CHUNK_BYTES) return false;
    // From a whole file straight to what a chunk is, not by a halving for each power of two.
    this.#ceilingBytes = Math.max(Math.min(Math.floor(sentBytes / 2), this.#limits.maxBytes), SMALLEST_CHUNK_BYTES);
    return true;
  }

  #halve(): void {
    this.#bytes = Math.max(Math.floor(this.bytes / 2), Math.min(this.#limits.minBytes, this.#bytes));
  }
}
