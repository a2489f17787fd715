// The kinds of values that settings have: how each is written, what of it is right, and the sentence for what is not.
import { z } from 'zod';
import { parseBytes, parseDuration } from '../../shared/units.ts';

export const text = z.string();
export const bytes = z.union([z.number().int().nonnegative(), z.string().transform(sentence(parseBytes))]);
/** S3 takes no smaller parts than 5 MiB, and no larger ones than 5 GiB. */
export const partBytes = bytes.refine((size) => size >= 5 * 1024 ** 2 && size <= 5 * 1024 ** 3, 'Write a size from 5 MiB to 5 GiB.');
export const durationMs = z.union([z.number().nonnegative(), z.string().transform(sentence(parseDuration))]);
/** Timers of Node count in 31 bits: one that is set for longer goes off at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;
export const waitMs = durationMs.refine((ms) => ms <= LONGEST_TIMER_MS, 'Write at most 24d.');
export const timerMs = waitMs.refine((ms) => ms >= 1, 'Write at least 1ms.');
export const flag = z.union([
  z.boolean(),
  z.enum(['true', 'false'], { error: 'Write true or false.' }).transform((value) => value === 'true'),
]);
const list = z.union([z.array(z.string()), z.string().transform((value) => value.split(',').map((item) => item.trim()))]);
export const origins = list
  .transform((items) => items.filter((item) => item !== ''))
  .refine((items) => items.every(isOrigin), 'Write * or origins as browsers send them, such as https://app.example, without a path.');
export const hostNames = list
  .transform((items) => items.filter((item) => item !== '').map((item) => item.toLowerCase()))
  .refine((items) => items.every(isHostName), 'Write names such as uploads.example, without a scheme, a port or a path.');
export const fieldNames = list
  .transform((items) => items.filter((item) => item !== ''))
  .refine((items) => items.every((item) => /^[\w!#$%&'*+.^`|~-]+$/.test(item)), 'Write names of headers, such as X-Api-Key.');
/** Some of these words, or none. */
export function someOf<const Words extends readonly string[]>(words: Words, otherwise: string) {
  return list.transform((items) => items.filter((item) => item !== '')).pipe(z.array(z.enum(words, { error: otherwise })));
}
export const port = wholeNumber(5, 0, 65535, 'Write a whole number from 0 to 65535.');
export const count = wholeNumber(6, 1, Number.POSITIVE_INFINITY, 'Write a whole number from 1 on.', 'Write a whole number.');
/** As `count`, of what there are more. */
export const largeCount = wholeNumber(9, 1, 999_999_999, 'Write a whole number from 1 to 999999999.');
/** As `count`, of what there are fewer. */
export const smallCount = wholeNumber(3, 1, 999, 'Write a whole number from 1 to 999.');
export const publicUrl = z.string().refine(isPublicUrl, 'Write an address that begins with http:// or https://, without a query.');
export const databaseUrl = z.string().refine(isDatabaseUrl, 'Write an address that begins with postgres://.');

/** Text that `parse` takes; what it throws is the sentence. */
export function parsable(parse: (text: string) => unknown) {
  const transform = sentence(parse);
  return z.string().superRefine((text, context) => {
    transform(text, context);
  });
}

/** One of these words. */
export function oneOf<const Words extends readonly string[]>(words: Words, otherwise: string) {
  return z.enum(words, { error: otherwise });
}

/** A number, or up to so many decimal digits: no sign, no fraction, no exponent, no hexadecimal. */
function wholeNumber(digits: number, least: number, most: number, otherwise: string, notDigits = otherwise) {
  const written = z.string().regex(new RegExp(`^\\d{1,${digits}}$`), notDigits);
  return z
    .union([z.number(), written.transform(Number)])
    .refine((value) => Number.isInteger(value) && value >= least && value <= most, otherwise);
}

function isPublicUrl(text: string): boolean {
  if (text === '') return true;
  const url = URL.parse(text);
  return url !== null && /^https?:\/\//i.test(text) && `${url.username}${url.password}${url.search}${url.hash}` === '';
}

function isDatabaseUrl(text: string): boolean {
  return text === '' || (/^postgres(?:ql)?:\/\//.test(text) && URL.canParse(text));
}

function isOrigin(text: string): boolean {
  if (text === '*' || text === 'null') return true;
  const url = URL.parse(text);
  // Of schemes that apps make up, the standard's `origin` is null; browsers send scheme and host all the same.
  return url !== null && url.host !== '' && `${url.protocol}//${url.host}` === text;
}

function isHostName(text: string): boolean {
  return URL.parse(`http://${text}`)?.host === text && !text.endsWith('.');
}

function sentence<T>(parse: (text: string) => T) {
  return (text: string, context: z.RefinementCtx): T => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  };
}
