/** Names and numbers of tus 1.0.0 (https://tus.io/protocols/resumable-upload) and of Landfall's additions. */
export const TUS_VERSION = '1.0.0';
export const OFFSET_CONTENT_TYPE = 'application/offset+octet-stream';
export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** An upload id: 128 random bits of the server in hex. */
export const UPLOAD_ID: RegExp = /^[0-9a-f]{32}$/;

/** Metadata keys with a meaning to Landfall. The server keeps and returns all others unchanged. */
export const METADATA_KEYS = {
  /** The name on the sender's side. Uppy sends `name`. */
  name: ['filename', 'name'],
  /** The claimed media type. Uppy sends `type`. */
  type: ['filetype', 'type'],
  relativePath: ['relativePath'],
} as const;

/** Metadata keys for the name and message of a guest, which the page of an upload link sends. */
export const SENDER_METADATA = { name: 'senderName', message: 'senderMessage' } as const;

/** Algorithms allowed in `Upload-Checksum` (tus 1.0.0, Checksum). */
export const CHECKSUM_ALGORITHMS = ['sha1', 'sha256', 'crc32'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * Parses a non-negative decimal integer up to 2^53 − 1, as tus requires: no sign, leading zero, exponent, hexadecimal or list.
 * Undefined for any other text.
 */
export function parseByteCount(value: string): number | undefined {
  if (!DECIMAL.test(value)) return undefined;
  const count = Number(value);
  return Number.isSafeInteger(count) ? count : undefined;
}
