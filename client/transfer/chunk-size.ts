import type { ChunkLimits } from '../ports.ts';

/** A chunk should take about 8 s: long enough to make the round trip between two chunks negligible, short enough to send again. */
const FAST_CHUNK_MS = 4000;
const SLOW_CHUNK_MS = 20_000;
/** The smallest body that a proxy must accept. nginx accepts 1 MiB by default. */
export const SMALLEST_CHUNK_BYTES: number = 64 * 1024;

/** After an untried size failed, the size doubles again only after this many fast chunks; each further failure multiplies the number. */
const FAST_CHUNKS_FACTOR = 4;
const MAX_FAST_CHUNKS_NEEDED = 256;
/** After a failure or a slow chunk, chunks carry checksums again once this many bytes were sent without another. */
const CHECKSUMS_AFTER_BYTES = 64 * 1024 * 1024;

/** Decides how many bytes the next PATCH carries. */
export class ChunkSize {
  readonly #limits: ChunkLimits;
  readonly #isFixed: boolean;
  #bytes: number;
  /** Largest body that a proxy accepts, learned from a 413. */
  #ceilingBytes = Number.POSITIVE_INFINITY;
  /** Largest chunk that the server confirmed. */
  #provenBytes = 0;
  /** Number of fast chunks after which the size doubles. */
  #fastChunksNeeded = 1;
  #fastChunks = 0;
  #bytesSinceTrouble = Number.POSITIVE_INFINITY;

  constructor(limits: ChunkLimits, fixed?: number) {
    this.#limits = limits;
    this.#isFixed = fixed !== undefined;
    this.#bytes = fixed ?? (limits.wholeBody ? Number.POSITIVE_INFINITY : limits.startBytes);
  }

  get bytes(): number {
    return Math.min(this.#bytes, this.#ceilingBytes);
  }

  /**
   * Largest first PATCH of a file. The server judges the first bytes of a file only after it verified the chunk's checksum, and a
   * browser reads a response only after it sent the whole chunk. So the first chunk of a large file is small, and a refusal costs little.
   * A body that carries the whole file has no checksum of its own and can be refused while it is sent.
   *
   * @param size of the file in bytes; null when unknown
   */
  firstChunkBytes(size: number | null): number {
    const isSmall = size !== null && size <= this.#limits.minBytes;
    return this.#isFixed || isSmall || !Number.isFinite(this.bytes) ? this.bytes : SMALLEST_CHUNK_BYTES;
  }

  /**
   * Whether the next chunk carries a checksum of its own. The server discards such a chunk when it breaks off. On a connection that
   * breaks often, each byte would be sent several times; on a slow one, a closed page would lose minutes; and a body that carries the
   * whole file would start over. In these cases only the checksum of the whole file protects the bytes.
   */
  get usesChecksum(): boolean {
    return Number.isFinite(this.bytes) && this.#bytesSinceTrouble >= CHECKSUMS_AFTER_BYTES;
  }

  /** @param ms from the first byte sent to the response */
  succeeded(sentBytes: number, ms: number): void {
    this.#bytesSinceTrouble = ms > SLOW_CHUNK_MS ? 0 : this.#bytesSinceTrouble + sentBytes;
    // A shorter chunk, such as the last one, does not predict the next.
    if (this.#isFixed || !Number.isFinite(this.#bytes) || sentBytes < this.bytes) return;
    if (sentBytes > this.#provenBytes) {
      this.#provenBytes = sentBytes;
      this.#fastChunksNeeded = 1;
    }
    if (ms > SLOW_CHUNK_MS) this.#halve();
    else if (ms < FAST_CHUNK_MS && ++this.#fastChunks >= this.#fastChunksNeeded) {
      this.#bytes = Math.min(this.bytes * 2, this.#limits.maxBytes);
      this.#fastChunks = 0;
    }
  }

  /**
   * The server did not confirm a body. A proxy may have answered 413, which a page of another origin sees only as a broken connection.
   * So a size that the server never confirmed is suspected, and is not tried again after each smaller chunk.
   */
  failed(): void {
    this.#bytesSinceTrouble = 0;
    if (this.#isFixed || !Number.isFinite(this.#bytes)) return;
    if (this.bytes > this.#provenBytes)
      this.#fastChunksNeeded = Math.min(this.#fastChunksNeeded * FAST_CHUNKS_FACTOR, MAX_FAST_CHUNKS_NEEDED);
    this.#fastChunks = 0;
    this.#halve();
  }

  /** A proxy refused a body of this size with 413. Returns false when smaller chunks would not help. */
  lowerCeiling(sentBytes: number): boolean {
    if (sentBytes <= SMALLEST_CHUNK_BYTES) return false;
    // From a whole file directly to the size of a chunk, instead of halving repeatedly.
    this.#ceilingBytes = Math.max(Math.min(Math.floor(sentBytes / 2), this.#limits.maxBytes), SMALLEST_CHUNK_BYTES);
    return true;
  }

  #halve(): void {
    this.#bytes = Math.max(Math.floor(this.bytes / 2), Math.min(this.#limits.minBytes, this.#bytes));
  }
}
