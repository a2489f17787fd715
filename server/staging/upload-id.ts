import { randomBytes } from 'node:crypto';

const ID_BYTES = 16;

/** Fetched for many ids at once: the call costs more than the bytes. */
let random = Buffer.alloc(0);

/** 128 bits from a CSPRNG: an id that can't be guessed, and never the client's. */
export function newUploadId(): string {
  if (random.byteLength === 0) random = randomBytes(ID_BYTES * 256);
  const id = random.toString('hex', 0, ID_BYTES);
  random = random.subarray(ID_BYTES);
  return id;
}
