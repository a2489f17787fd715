// Upload links that an operator gave out: `landfall-server link`. Whoever has the address is a guest: he sends, and sees nothing of others.
import { UploadError } from '../../shared/errors.ts';
import { credentialOfToken, isTokenOf, TOKEN_PREFIXES } from '../ledger/credentials.ts';
import { quotaOfOwner } from '../ledger/limits.ts';
import type { TokenKind } from './bearer-tokens.ts';
import type { FreshCredentials } from './fresh-credentials.ts';

/** What the token is found in: an address with it behind the #, or the token itself, as a person copies it. */
const TOKEN_IN_TEXT = /lfl_[0-9a-f]+(?=\s*$)/;

/** Of what a guest without script pastes; undefined: there is none in it. */
export function linkTokenIn(text: string): string | undefined {
  return TOKEN_IN_TEXT.exec(text)?.[0];
}

/** @param graceMs so long after its end, by the wall's clock, what was created by it may still be sent to its end, and asked for */
export function linkTokens(credentials: FreshCredentials, graceMs: number): TokenKind {
  return {
    async identify({ text }, intent) {
      if (!text.startsWith(TOKEN_PREFIXES.link)) return undefined;
      const id = credentialOfToken('link', text);
      const link = id === undefined ? undefined : await credentials.get(id);
      if (link === undefined || !isTokenOf(link, text)) return null;
      if (link.removedAt !== null) throw new UploadError('ERR_ACCESS_WITHDRAWN');
      // A film that began to come in time comes to its end.
      const isBeginning = intent === 'create' || intent === 'download';
      if (link.endsAt !== null && link.endsAt + (isBeginning ? 0 : graceMs) <= Date.now()) throw new UploadError('ERR_ACCESS_EXPIRED');
      const { limits, title, endsAt } = link;
      // Where nobody is named, what comes by it is its own.
      const owner = link.owner || link.id;
      return {
        owner,
        source: 'link',
        credential: link.id,
        quota: quotaOfOwner(owner),
        limits,
        isConfined: true,
        isByHeader: true,
        endsAt,
        title,
      };
    },
  };
}
