// The ids of uploads: made here, and parsed here from requests, file names and rows.
import { randomBytes } from 'node:crypto';
import { UPLOAD_ID } from '../../shared/protocol.ts';

declare const brand: unique symbol;

/** 32 hex digits. Safe in a path, a key or a statement, because no other text has this type. */
export type UploadId = string & { readonly [brand]: true };

const ID_BYTES = 16;

/** Random bytes for many ids at a time: a call of `randomBytes` costs more than the bytes. */
let random = Buffer.alloc(0);

/** Makes an id of 128 bits from a CSPRNG, which cannot be guessed. A client never chooses it. */
export function newUploadId(): UploadId {
  if (random.byteLength === 0) random = randomBytes(ID_BYTES * 256);
  const id = random.toString('hex', 0, ID_BYTES);
  random = random.subarray(ID_BYTES);
  return id as UploadId;
}

/** Undefined when the text is missing or not an id. */
export function parseUploadId(text: string | undefined): UploadId | undefined {
  return text !== undefined && UPLOAD_ID.test(text) ? (text as UploadId) : undefined;
}
