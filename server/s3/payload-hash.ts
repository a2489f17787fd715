// The SHA-256 that the SDK needs to sign requests. A part is hashed in another thread, so that it does not block the event loop; small
// data is hashed directly.
import { createHash, createHmac, webcrypto } from 'node:crypto';
import { ThreadOnDemand, workerScript } from '../runtime/worker.ts';

type Piece = string | ArrayBuffer | ArrayBufferView;

/** Hashing less takes a fraction of the time of a hop to another thread. */
const SMALL_BYTES = 256 * 1024;

/** One for the process, because the SDK makes the hashes itself. It keeps no idle process alive. */
const thread = new ThreadOnDemand<Uint8Array<SharedArrayBuffer>, Uint8Array>(workerScript('payload-hash-worker', import.meta.url), {
  name: 'landfall-payload-hash',
});

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
      return hashElsewhere(only);
    }
    const hash = this.#secret === undefined ? createHash('sha256') : createHmac('sha256', this.#secret);
    for (const piece of this.#pieces) hash.update(piece);
    return hash.digest();
  }

  reset(): void {
    this.#pieces = [];
  }
}

/** Node's thread pool would copy the bytes first, on the main thread: a third of what the hash costs, and a pause for all requests. */
async function hashElsewhere(bytes: Uint8Array): Promise<Uint8Array> {
  if (isShared(bytes)) return thread.current.ask(bytes).catch(() => createHash('sha256').update(bytes).digest());
  return new Uint8Array(await webcrypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}

function isShared(bytes: Uint8Array): bytes is Uint8Array<SharedArrayBuffer> {
  return bytes.buffer instanceof SharedArrayBuffer;
}

function bytesOf(piece: Piece): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece);
  return ArrayBuffer.isView(piece) ? new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength) : new Uint8Array(piece);
}
