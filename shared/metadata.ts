import { UploadError } from './errors.ts';
import { METADATA_KEYS } from './protocol.ts';

/** Largest header value in bytes. Node limits all headers together to 16 KiB. */
export const MAX_METADATA_BYTES = 4096;
export const MAX_METADATA_PAIRS = 16;

export type Metadata = ReadonlyMap<string, string>;

const KEY = /^[\x21-\x2b\x2d-\x7e]{1,64}$/;
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
const LINE_BREAK = /[\r\n\0]/;
/** The same in Latin-1 and UTF-8, and no line break. */
const PLAIN = /^[\x20-\x7e]*$/;

/**
 * Parses `Upload-Metadata` (tus 1.0.0, Creation): comma-separated pairs `key base64(value)`, whose value may be absent. Ignores spaces
 * and empty pairs, as in every list (RFC 9110, 5.6.1), because clients write trailing commas. Stricter than the protocol: keys must be
 * unique and printable, and values must be UTF-8 without line breaks.
 *
 * @throws UploadError ERR_INVALID_METADATA with the number of the invalid pair
 */
export function parseMetadata(header: string): Metadata {
  const metadata = new Map<string, string>();
  if (header === '') return metadata;
  if (header.length > MAX_METADATA_BYTES) throw invalid(`It is longer than ${MAX_METADATA_BYTES} bytes.`);
  const pairs = header
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '');
  if (pairs.length > MAX_METADATA_PAIRS) throw invalid(`It has more than ${MAX_METADATA_PAIRS} pairs.`);
  for (const [index, pair] of pairs.entries()) {
    const tokens = pair.split(/[ \t]+/);
    const [key = '', value = ''] = tokens;
    if (tokens.length > 2 || !KEY.test(key) || FORBIDDEN_KEYS.has(key)) throw invalid(`The key of pair ${index + 1} is not allowed.`);
    if (metadata.has(key)) throw invalid(`The key of pair ${index + 1} appears twice.`);
    metadata.set(key, decode(value, index));
  }
  return metadata;
}

function decode(value: string, index: number): string {
  if (!BASE64.test(value)) throw invalid(`The value of pair ${index + 1} is not base64.`);
  const binary = atob(value);
  if (PLAIN.test(binary)) return binary;
  const bytes = Uint8Array.from(binary, (character) => character.charCodeAt(0));
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw invalid(`The value of pair ${index + 1} is not UTF-8.`);
  }
  if (LINE_BREAK.test(text)) throw invalid(`The value of pair ${index + 1} contains a line break.`);
  return text;
}

function invalid(detail: string): UploadError {
  return new UploadError('ERR_INVALID_METADATA', { detail });
}

/** The value of the first key that has one. Clients use different keys for the name and the type. */
export function metadataValue(metadata: Metadata, meaning: keyof typeof METADATA_KEYS): string | null {
  for (const key of METADATA_KEYS[meaning]) {
    const value = metadata.get(key);
    if (value) return value;
  }
  return null;
}

/** The value of `Upload-Metadata`. */
export function formatMetadata(metadata: Metadata): string {
  return [...metadata].map(([key, value]) => (value === '' ? key : `${key} ${encode(value)}`)).join(',');
}

function encode(value: string): string {
  return btoa(Array.from(new TextEncoder().encode(value), (byte) => String.fromCharCode(byte)).join(''));
}
