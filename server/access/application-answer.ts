// Reads an application's answer: its message for the sender, and how long the answer may be cached.
import type { BoundedAnswer } from './bounded-fetch.ts';

const MAX_MESSAGE_LENGTH = 300;
const MAX_MS = 24 * 60 * 60 * 1000;

/** A message for a person: from a problem document (RFC 9457) or similar JSON, or from plain text. Never from an HTML page. */
export function messageOf({ headers, text }: BoundedAnswer): string | undefined {
  const type = headers.get('Content-Type')?.split(';', 1)[0]?.trim().toLowerCase() ?? '';
  const source = /^application\/(?:[\w.-]+\+)?json$/.test(type) ? messageInJson(text) : type === 'text/plain' ? text : '';
  // No line breaks, no control characters, no change of the text's direction.
  const message = source.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069\s]+/gu, ' ').trim();
  if (message === '') return undefined;
  const characters = [...message.toWellFormed()];
  return characters.length <= MAX_MESSAGE_LENGTH ? message.toWellFormed() : `${characters.slice(0, MAX_MESSAGE_LENGTH - 1).join('')}…`;
}

function messageInJson(text: string): string {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return '';
  }
  if (typeof body === 'string') return body;
  if (typeof body !== 'object' || body === null) return '';
  const { detail, title, message } = body as Record<string, unknown>;
  return [detail, message, title].find((candidate) => typeof candidate === 'string') ?? '';
}

/** RFC 9111, 5.2.2: `max-age` in milliseconds; 0 without it, and with `no-store` or `no-cache`. */
export function cacheForMs(headers: Headers): number {
  const directives = (headers.get('Cache-Control') ?? '')
    .toLowerCase()
    .split(',')
    .map((item) => item.trim());
  if (directives.some((item) => /^no-(?:store|cache)\b/.test(item))) return 0;
  const [, seconds = '0'] = directives.map((item) => /^max-age="?(\d{1,9})"?$/.exec(item)).find((match) => match !== null) ?? [];
  const age = Number(headers.get('Age') ?? 0) || 0;
  return Math.min(Math.max(Number(seconds) - age, 0) * 1000, MAX_MS);
}
