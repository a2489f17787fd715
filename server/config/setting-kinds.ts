// The kinds of setting values: how each is written, which values are valid, and the message for the others.
import { isIP } from 'node:net';
import { z } from 'zod';
import { ARCHIVE_RULES, type ArchiveRule, parsePolicy } from '../../shared/policy.ts';
import { LONGEST_DURATION_MS, parseBytes, parseDuration } from '../../shared/units.ts';
import { MAX_WEBHOOK_SECRETS, parseWebhookSecret } from './webhook-secret.ts';

/** For each kind, the type that is read, and the type that a caller writes: a number in bytes or milliseconds, or text with a unit. */
export interface Values {
  text: [read: string, written: string];
  nonEmptyText: [read: string, written: string];
  word: [read: string, written: string];
  keyPrefix: [read: string, written: string];
  allowed: [read: string, written: string];
  publicUrl: [read: string, written: string];
  databaseUrl: [read: string, written: string];
  webhookUrl: [read: string, written: string];
  webhookSecrets: [read: readonly string[], written: string[] | string];
  checkUrl: [read: string, written: string];
  clamdAddress: [read: string, written: string];
  flag: [read: boolean, written: boolean | 'true' | 'false'];
  port: [read: number, written: number | string];
  count: [read: number, written: number | string];
  largeCount: [read: number, written: number | string];
  smallCount: [read: number, written: number | string];
  size: [read: number, written: number | string];
  fileSize: [read: number, written: number | string];
  partSize: [read: number, written: number | string];
  duration: [read: number, written: number | string];
  expiry: [read: number, written: number | string];
  retention: [read: number | null, written: number | string];
  linkLifetime: [read: number, written: number | string];
  wait: [read: number, written: number | string];
  timer: [read: number, written: number | string];
  lease: [read: number, written: number | string];
  origins: [read: readonly string[], written: string[] | string];
  hostNames: [read: readonly string[], written: string[] | string];
  fieldNames: [read: readonly string[], written: string[] | string];
  archiveRules: [read: readonly ArchiveRule[], written: string[] | string];
  accessKinds: [read: readonly AccessKind[], written: string[] | string];
  networks: [read: readonly string[], written: string[] | string];
  limit: [read: number | null, written: number | string];
  sizeLimit: [read: number | null, written: number | string];
  percent: [read: number, written: number | string];
  accessUrl: [read: string, written: string];
  fieldName: [read: string, written: string];
  jwksUrl: [read: string, written: string];
  secret: [read: string, written: string];
  secrets: [read: readonly string[], written: string[] | string];
  textList: [read: readonly string[], written: string[] | string];
}

export const ACCESS_KINDS = ['keys', 'links', 'jwt', 'grants', 'url', 'anonymous'] as const;
export type AccessKind = (typeof ACCESS_KINDS)[number];

export type Kind = keyof Values;

export interface Setting {
  /** The kind of its values. */
  kind: Kind;
  /** The valid words, for the kind `word`. */
  words?: readonly string[];
  /** The message for an invalid value, for kinds without a message of their own. */
  invalidMessage?: string;
  /** Its value is never shown. */
  isSecret?: boolean;
  /** Its name in the resolved configuration: with the unit, if it has one. */
  as?: string;
  /** In human units, as a person writes it. */
  default: string;
  help: string;
}

const text = z.string();
const size = z.union([z.number().int().nonnegative(), z.string().transform(withMessage(parseBytes))]);
/** Rounded, as text is: the ledger keeps times in whole milliseconds. */
const milliseconds = z
  .number()
  .nonnegative()
  .transform(Math.round)
  .refine((ms) => ms <= LONGEST_DURATION_MS, 'Write at most 1000000d.');
const duration = z.union([milliseconds, z.string().transform(withMessage(parseDuration))]);
/** Node's timers count in 31 bits: a timer set for longer fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const wait = duration.refine((ms) => ms <= LONGEST_TIMER_MS, 'Write at most 24d.');
const timer = wait.refine((ms) => ms >= 1, 'Write at least 1ms.');
/** RFC 7518, 3.2: the key is at least as long as the hash. A shorter key could be found by trying all keys. */
const LEAST_SECRET_BYTES = 32;
const SECRET = `Write ${LEAST_SECRET_BYTES} characters or more; a key in PEM belongs in a file, whose path has a setting of its own.`;
const list = z
  .union([z.array(z.string()), z.string().transform((value) => value.split(',').map((item) => item.trim()))])
  .transform((items) => items.filter((item) => item !== ''));

const KINDS: { readonly [K in Exclude<Kind, 'nonEmptyText' | 'word'>]: z.ZodType<Values[K][0], Values[K][1]> } = {
  text,
  keyPrefix: text.regex(/^(?:[\w.!'()-]+\/?)*$/, 'Write a path without a slash in front, such as uploads/.'),
  allowed: parsable(parsePolicy),
  publicUrl: text.refine(isPublicUrl, 'Write an address that begins with http:// or https://, without a query.'),
  databaseUrl: text.refine(isDatabaseUrl, 'Write an address that begins with postgres://.'),
  webhookUrl: text.refine(isFetchableUrl, 'Write an address that begins with https:// or http://, without a user in it.'),
  webhookSecrets: list.refine(
    (items) => items.length <= MAX_WEBHOOK_SECRETS && items.every((item) => parseWebhookSecret(item) !== undefined),
    'Write one secret or two: whsec_ and 24 to 64 bytes in base64, or whsk_ and a private key of Ed25519 in base64.',
  ),
  checkUrl: text.refine(isCheckUrl, 'Write an address that begins with http:// or https://.'),
  clamdAddress: text.refine(isClamdAddress, 'Write unix: and a path, or tcp://, a host and a port.'),
  flag: z.union([z.boolean(), z.enum(['true', 'false'], { error: 'Write true or false.' }).transform((value) => value === 'true')]),
  port: wholeNumber(5, 0, 65535, 'Write a whole number from 0 to 65535.'),
  count: wholeNumber(6, 1, Number.POSITIVE_INFINITY, 'Write a whole number from 1 on.', 'Write a whole number.'),
  largeCount: wholeNumber(9, 1, 999_999_999, 'Write a whole number from 1 to 999999999.'),
  smallCount: wholeNumber(3, 1, 999, 'Write a whole number from 1 to 999.'),
  size,
  fileSize: size.refine((bytes) => bytes >= 1, 'Write at least 1 byte.'),
  /** S3's limits for parts. */
  partSize: size.refine((bytes) => bytes >= 5 * 1024 ** 2 && bytes <= 5 * 1024 ** 3, 'Write a size from 5 MiB to 5 GiB.'),
  duration,
  expiry: duration.refine((ms) => ms >= 1, 'Write at least 1ms.'),
  retention: z
    .union([milliseconds, z.string().transform(withMessage((given) => (given === '' ? null : parseDuration(given))))])
    .refine((ms) => ms === null || ms >= 1000, 'Write at least 1s.'),
  linkLifetime: duration.refine((ms) => ms >= 1000 && ms <= 7 * 86_400_000, 'Write a time from 1s to 7d.'),
  wait,
  timer,
  lease: timer.refine((ms) => ms >= 1000, 'Write at least 1s.'),
  origins: list.refine(
    (items) => items.every(isOrigin),
    'Write * or origins as browsers send them, such as https://app.example, without a path.',
  ),
  hostNames: list
    .transform((items) => items.map((item) => item.toLowerCase()))
    .refine((items) => items.every(isHostName), 'Write names such as uploads.example, without a scheme, a port or a path.'),
  fieldNames: list.refine(
    (items) => items.every((item) => /^[\w!#$%&'*+.^`|~-]+$/.test(item)),
    'Write names of headers, such as X-Api-Key.',
  ),
  accessKinds: list.pipe(z.array(z.enum(ACCESS_KINDS, { error: `Write some of ${ACCESS_KINDS.join(', ')}.` }))),
  networks: list.refine((items) => items.every(isNetwork), 'Write addresses such as 10.0.0.7, or networks such as 10.0.0.0/8.'),
  limit: optional(z.number().int().positive(), parseLimit),
  sizeLimit: optional(z.number().int().nonnegative(), parseBytes),
  percent: wholeNumber(3, 1, 100, 'Write a whole number from 1 to 100.'),
  accessUrl: text.refine(isAccessUrl, 'Write an address that begins with http:// or https://, without a # in it.'),
  fieldName: text.regex(/^[\w!#$%&'*+.^`|~-]*$/, 'Write the name of a header, such as X-Owner.'),
  jwksUrl: text.refine(isFetchableUrl, 'Write an address that begins with http:// or https://, without a password.'),
  secret: text.refine((value) => value === '' || isSecret(value), SECRET),
  secrets: list
    .refine((items) => items.every(isSecret), SECRET)
    .refine((items) => items.length <= 2, 'Write one, or two while one takes the place of the other.'),
  textList: list,
  archiveRules: list.pipe(z.array(z.enum(ARCHIVE_RULES, { error: `Write some of ${ARCHIVE_RULES.join(', ')}, or nothing.` }))),
};

/** The schema that parses a setting's values. */
export function schemaOf({ kind, words = [], invalidMessage = '' }: Pick<Setting, 'kind' | 'words' | 'invalidMessage'>): z.ZodType {
  if (kind === 'word') return z.enum(words, { error: invalidMessage });
  return kind === 'nonEmptyText' ? text.min(1, invalidMessage) : KINDS[kind];
}

/** Text that `parse` accepts; the message of its error is the sentence. */
function parsable(parse: (text: string) => unknown): z.ZodType<string, string> {
  const transform = withMessage(parse);
  return z.string().superRefine((text, context) => {
    transform(text, context);
  });
}

/** A number, or text of at most this many digits: no sign, no fraction, no exponent, no hexadecimal. */
function wholeNumber(digits: number, least: number, most: number, message: string, notDigits = message) {
  const written = z.string().regex(new RegExp(`^\\d{1,${digits}}$`), notDigits);
  return z
    .union([z.number(), written.transform(Number)])
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, message);
}

/** A number, or text; empty text means no limit. */
function optional(number: z.ZodType<number, number>, parse: (text: string) => number): z.ZodType<number | null, number | string> {
  return z.union([number, z.string().transform(withMessage((text) => (text === '' ? null : parse(text))))]);
}

function parseLimit(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error('Write a whole number from 1 on, or nothing.');
  return Number(text);
}

function isPublicUrl(text: string): boolean {
  if (text === '') return true;
  const url = URL.parse(text);
  return url !== null && /^https?:\/\//i.test(text) && `${url.username}${url.password}${url.search}${url.hash}` === '';
}

function isAccessUrl(text: string): boolean {
  if (text === '') return true;
  const url = URL.parse(text);
  return url !== null && /^https?:\/\//i.test(text) && url.hash === '' && isDecodable(`${url.username}${url.password}`);
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== null;
  } catch {
    return false;
  }
}

function isFetchableUrl(text: string): boolean {
  if (text === '') return true;
  const url = URL.parse(text);
  return url !== null && /^https?:\/\//i.test(text) && `${url.username}${url.password}${url.hash}` === '';
}

/** A public key must not be taken for a secret: anyone may have it. */
function isSecret(text: string): boolean {
  return Buffer.byteLength(text) >= LEAST_SECRET_BYTES && !text.includes('-----BEGIN');
}

function isCheckUrl(text: string): boolean {
  return text === '' || (/^https?:\/\/./i.test(text) && URL.canParse(text));
}

function isDatabaseUrl(text: string): boolean {
  return text === '' || (/^postgres(?:ql)?:\/\//.test(text) && URL.canParse(text));
}

function isClamdAddress(text: string): boolean {
  const [, port] = /^tcp:\/\/(?:[\w.-]+|\[[\da-fA-F:.]+\]):(\d{1,5})$/.exec(text) ?? [];
  return text === '' || /^unix:(?:\/\/)?\/./.test(text) || (Number(port) >= 1 && Number(port) <= 65535);
}

function isOrigin(text: string): boolean {
  if (text === '*' || text === 'null') return true;
  const url = URL.parse(text);
  // For the schemes of apps, the URL standard's `origin` is null; browsers send scheme and host all the same.
  return url !== null && url.host !== '' && `${url.protocol}//${url.host}` === text;
}

function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([\da-f.:]+)(?:\/(\d{1,3}))?$/i.exec(text) ?? [];
  const family = isIP(address);
  return family !== 0 && (prefix === undefined || Number(prefix) <= (family === 6 ? 128 : 32));
}

function isHostName(text: string): boolean {
  return URL.parse(`http://${text}`)?.host === text && !text.endsWith('.');
}

function withMessage<T>(parse: (text: string) => T) {
  return (text: string, context: z.RefinementCtx): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  };
}
