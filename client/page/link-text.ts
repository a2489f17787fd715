// The texts of the page of an upload link. Pure functions, so that a test can check them.
import type { ErrorCode } from '../../shared/errors.ts';
import { formatBytes } from '../../shared/units.ts';
import type { Grant } from '../element/policy.ts';

export interface LinkMessage {
  title: string;
  text: string;
}

const ASK_FOR_NEW_LINK = 'Ask the person who sent it to you for a new one.';

const USED_UP: LinkMessage = { title: 'This link is used up', text: `All files that it allows have been uploaded. ${ASK_FOR_NEW_LINK}` };

const MESSAGES: { readonly [Code in ErrorCode]?: LinkMessage } = {
  ERR_ACCESS_EXPIRED: { title: 'This link has expired', text: `It was valid for a limited time. ${ASK_FOR_NEW_LINK}` },
  ERR_ACCESS_WITHDRAWN: { title: 'This link was withdrawn', text: `It no longer accepts files. ${ASK_FOR_NEW_LINK}` },
  ERR_ACCESS_USED_UP: USED_UP,
};

const NOT_VALID: LinkMessage = {
  title: 'This link is not valid',
  text: 'Open the complete link that you were given, including the part after the #.',
};

/** Why the link accepts no more files. */
export function messageOf(code: ErrorCode): LinkMessage {
  return MESSAGES[code] ?? NOT_VALID;
}

/** The message for a used-up link; undefined while the link accepts files. */
export function usedUp({ uploadsLeft, bytesLeft }: Grant): LinkMessage | undefined {
  return uploadsLeft === 0 || bytesLeft === 0 ? USED_UP : undefined;
}

/** The limits of the link, in sentences. The element shows which files it accepts. */
export function termsOf({ endsAt, uploadsLeft, bytesLeft }: Grant, locale?: string): string {
  const until =
    endsAt === undefined ? '' : new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short' }).format(new Date(endsAt));
  return [
    until === '' ? '' : `Open until ${until}.`,
    uploadsLeft === undefined ? '' : uploadsLeft === 1 ? 'You can upload one more file.' : `You can upload ${uploadsLeft} more files.`,
    bytesLeft === undefined ? '' : `You have ${formatBytes(bytesLeft).replace(' ', '\u00a0')} of space left.`,
    'If your connection drops, the upload resumes where it left off.',
  ]
    .filter(Boolean)
    .join(' ');
}
