// SHA-256 as the SDK asks for it when it signs requests: of a part in the thread pool, where it holds up nobody, and of all
// that is small at once.
import { createHash, createHmac, webcrypto } from 'node:crypto';

type Piece = string | ArrayBuffer | ArrayBufferView;

/** Less takes a fraction of what a hop to another thread does. */
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
