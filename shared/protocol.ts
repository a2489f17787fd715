/** Names and numbers of tus 1.0.0 (https://tus.io/protocols/resumable-upload) and of what Landfall adds to it. */
export const TUS_VERSION = '1.0.0';
export const OFFSET_CONTENT_TYPE = 'application/offset+octet-stream';
export const PROBLEM_CONTENT_TYPE = 'application/problem+json';

/** 128 bits from a CSPRNG, made by the server. */
export const UPLOAD_ID: RegExp = /^[0-9a-f]{32}$/;

/** Metadata keys that Landfall gives a meaning; any other is kept and echoed. */
export const METADATA_KEYS = {
  /** The name on the sender's side. `name` is what Uppy sends. */
  name: ['filename', 'name'],
  /** The media type the sender claims. `type` is what Uppy sends. */
  type: ['filetype', 'type'],
  relativePath: ['relativePath'],
} as const;

/** What a guest of an upload link says of himself; the link's page and its form send it as metadata. */
export const SENDER_METADATA = { name: 'senderName', message: 'senderMessage' } as const;

/** tus 1.0.0, Checksum: what `Upload-Checksum` may name. */
export const CHECKSUM_ALGORITHMS = ['sha1', 'sha256', 'crc32'] as const;
export type ChecksumAlgorithm = (typeof CHECKSUM_ALGORITHMS)[number];

const DECIMAL = /^(?:0|[1-9][0-9]{0,15})$/;

/**
 * A non-negative decimal integer up to 2^53 − 1 as tus wants it: no sign, no leading zero, no exponent,
 * no hexadecimal, no list. Undefined for anything else.
 */
export function parseByteCount(value: string): number | undefined {
  if (!DECIMAL.test(value)) return undefined;
  const count = Number(value);
  return Number.isSafeInteger(count) ? count : undefined;
}
