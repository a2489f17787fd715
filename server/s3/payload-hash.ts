// The SHA-256 that the SDK needs to sign requests. A part is hashed in the thread pool, so that it does not block the event loop; small
// data is hashed directly.
import { createHash, createHmac, webcrypto } from 'node:crypto';

type Piece = string | ArrayBuffer | ArrayBufferView;

/** Hashing less takes a fraction of the time of a hop to another thread. */
const SMALL_BYTES = 256 * 1024;

export class PayloadHash {
  readonly #secret: Uint8Array | undefined;
  #pieces: Uint8Array[] = [];

  constructor(secret?: Piece) {
    this.#secret = secret === undefined ? undefined : bytesOf(secret);
  }

  update(piece: Piece): void {
    this.#pieces.push(bytesOf(piece));
  }

  async digest(): Promise<Uint8Array> {
    const [only] = this.#pieces;
    if (this.#secret === undefined && this.#pieces.length === 1 && only !== undefined && only.byteLength > SMALL_BYTES) {
      return new Uint8Array(await webcrypto.subtle.digest('SHA-256', only as Uint8Array<ArrayBuffer>));
    }
    const hash = this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
    for (const piece of this.#pieces) hash.update(piece);
    return hash.digest();
  }

  reset(): void {
    this.#pieces = [];
  }
}

function bytesOf(piece: Piece): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece);
  return ArrayBuffer.isView(piece) ? new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength) : new Uint8Array(piece);
}
