// What is told of an upload link: pure, so that every state can be held against its words.
import type { ErrorCode } from '../../shared/errors.ts';
import { formatBytes } from '../../shared/units.ts';
import type { Grant } from '../element/policy.ts';

export interface Ending {
  title: string;
  text: string;
}

const ASK_AGAIN = 'Ask whoever gave it to you for a new one.';

const USED_UP: Ending = { title: 'This link is used up', text: `Everything it was made for has arrived. ${ASK_AGAIN}` };

const ENDINGS: { readonly [Code in ErrorCode]?: Ending } = {
  ERR_ACCESS_EXPIRED: { title: 'This link has ended', text: `It was good for a limited time, which is over. ${ASK_AGAIN}` },
  ERR_ACCESS_WITHDRAWN: { title: 'This link was withdrawn', text: `It takes no more files. ${ASK_AGAIN}` },
  ERR_ACCESS_USED_UP: USED_UP,
};

const NOT_VALID: Ending = {
  title: 'This link is not valid',
  text: 'Open the whole address that you were given, with all that stands behind the #.',
};

/** Why nothing more can be sent by it. */
export function endingOf(code: ErrorCode): Ending {
  return ENDINGS[code] ?? NOT_VALID;
}

/** Undefined while something is left. */
export function usedUp({ uploadsLeft, bytesLeft }: Grant): Ending | undefined {
  return uploadsLeft === 0 || bytesLeft === 0 ? USED_UP : undefined;
}

/** In sentences; which files are taken, the element says. */
export function termsOf({ endsAt, uploadsLeft, bytesLeft }: Grant, locale?: string): string {
  const until =
    endsAt === undefined ? '' : new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' }).format(new Date(endsAt));
  return [
    until === '' ? '' : `Open until ${until}.`,
    uploadsLeft === undefined ? '' : uploadsLeft === 1 ? 'It takes one more file.' : `It takes ${uploadsLeft} more files.`,
    bytesLeft === undefined ? '' : `There is room for ${formatBytes(bytesLeft).replace(' ', '\u00a0')}.`,
    'If the connection breaks, the upload waits and goes on from where it was.',
  ]
    .filter(Boolean)
    .join(' ');
}
