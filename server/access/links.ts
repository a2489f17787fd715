// Upload links that an operator created: `landfall-server link`. A sender with the link is a guest, who uploads and sees no other uploads.
import { UploadError } from '../../shared/errors.ts';
import { credentialOfToken, isTokenOf, TOKEN_PREFIXES } from '../ledger/credentials.ts';
import { quotaOfOwner } from '../ledger/limits.ts';
import type { TokenKind } from './bearer-tokens.ts';
import type { CachedCredentials } from './cached-credentials.ts';

/** A token alone, or an address with the token behind the #, as a person copies it. */
const TOKEN_IN_TEXT = /lfl_[0-9a-f]+(?=\s*$)/;

/** The token in text that a guest without JavaScript has pasted; undefined: none. */
export function linkTokenIn(text: string): string | undefined {
  return TOKEN_IN_TEXT.exec(text)?.[0];
}

/** @param graceMs for this long after a link's end, by the wall clock, its uploads may be continued and inspected */
export function linkTokens(credentials: CachedCredentials, graceMs: number): TokenKind {
  return {
    async identify({ text }, intent) {
      if (!text.startsWith(TOKEN_PREFIXES.link)) return undefined;
      const id = credentialOfToken('link', text);
      const link = id === undefined ? undefined : await credentials.get(id);
      if (link === undefined || !isTokenOf(link, text)) return null;
      if (link.removedAt !== null) throw new UploadError('ERR_ACCESS_WITHDRAWN');
      // An upload that began in time may be completed.
      const isNewUse = intent === 'create' || intent === 'download';
      if (link.endsAt !== null && link.endsAt + (isNewUse ? 0 : graceMs) <= Date.now()) throw new UploadError('ERR_ACCESS_EXPIRED');
      const { limits, title, endsAt } = link;
      // Uploads by a link without an owner belong to the link.
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
