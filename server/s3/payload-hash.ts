// The SHA-256 that the SDK needs to sign requests. Parts that a body fills are hashed as their bytes arrive, while the processor's cache
// has them. Other large data is hashed in the thread pool, which first copies it; small data is hashed directly.
import { createHash, createHmac, webcrypto } from 'node:crypto';
import type { UploadPartCommand } from '@aws-sdk/client-s3';

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

/** Gives the request the hash of its body, so that the SDK does not compute it. @param sha256 in hex */
export function setPayloadHash(command: UploadPartCommand, sha256: string): void {
  command.middlewareStack.add(
    (next) => (step) => {
      Object.assign((step.request as { headers: Record<string, string> }).headers, { 'x-amz-content-sha256': sha256 });
      return next(step);
    },
    { step: 'build', name: 'landfallPayloadHash' },
  );
}

function bytesOf(piece: Piece): Uint8Array {
  if (typeof piece === 'string') return Buffer.from(piece);
  return ArrayBuffer.isView(piece) ? new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength) : new Uint8Array(piece);
}
