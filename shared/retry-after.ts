/** The header field `Retry-After` (RFC 9110, 10.2.3): whole seconds, or a date. */

/** Nobody is asked to wait for longer than a day. */
const MOST_SECONDS = 86_400;

/** The three forms of a date in HTTP (RFC 9110, 5.6.7) begin with the day of the week. `Date.parse` takes even `-5` for a date. */
const HTTP_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /;

/**
 * Reads when a response says to ask again.
 *
 * @param header reads a header field of the response; null: there is none
 * @returns whole seconds from 0 (also for a date that has passed) to a day; a fraction is rounded up. Undefined for anything else
 */
export function readRetryAfter(header: (name: string) => string | null): number | undefined {
  const value = header('Retry-After')?.trim() ?? '';
  if (/^\d+(?:\.\d+)?$/.test(value)) return Math.min(Math.ceil(Number(value)), MOST_SECONDS);
  if (!HTTP_DATE.test(value)) return undefined;
  // The date is by the clock of the sender of the response; the clock of this machine may be hours off.
  const now = timeOf(header('Date')?.trim() ?? '') || Date.now();
  const seconds = Math.ceil((timeOf(value) - now) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.min(Math.max(seconds, 0), MOST_SECONDS);
}

/** Every date in HTTP is in UTC, but the form of `asctime` does not say so. */
function timeOf(date: string): number {
  return Date.parse(date.endsWith('GMT') ? date : `${date} GMT`);
}

/** Writes the field's value: whole seconds. Undefined for what is no number of seconds. */
export function writeRetryAfter(seconds: number | undefined): string | undefined {
  if (seconds === undefined || Number.isNaN(seconds)) return undefined;
  return String(Math.min(Math.max(Math.ceil(seconds), 0), MOST_SECONDS));
}
