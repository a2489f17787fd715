// The ids of uploads: made here, and read here from text that others send, or that a file or a row is called by.
import { randomBytes } from 'node:crypto';
import { UPLOAD_ID } from '../../shared/protocol.ts';

declare const brand: unique symbol;

/** 32 hex digits. A path, a key or a statement may have it in it: there is no other text of this type. */
export type UploadId = string & { readonly [brand]: true };

const ID_BYTES = 16;

/** Fetched for many ids at once: the call costs more than the bytes. */
let random = Buffer.alloc(0);

/** 128 bits from a CSPRNG: an id that can't be guessed, and never the client's. */
export function newUploadId(): UploadId {
  if (random.byteLength === 0) random = randomBytes(ID_BYTES * 256);
  const id = random.toString('hex', 0, ID_BYTES);
  random = random.subarray(ID_BYTES);
  return id as UploadId;
}

/** Undefined: the text is no id, or there is none. */
export function parseUploadId(text: string | undefined): UploadId | undefined {
  return text !== undefined && UPLOAD_ID.test(text) ? (text as UploadId) : undefined;
}
