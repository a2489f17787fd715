// Keys that an operator created: `landfall-server key add`.
import { UploadError } from '../../shared/errors.ts';
import { credentialOfToken, isTokenOf, TOKEN_PREFIXES } from '../ledger/credentials.ts';
import { quotaOfOwner } from '../ledger/limits.ts';
import type { TokenKind } from './bearer-tokens.ts';
import type { CachedCredentials } from './cached-credentials.ts';

export function keyTokens(credentials: CachedCredentials): TokenKind {
  return {
    async identify({ text }) {
      if (!text.startsWith(TOKEN_PREFIXES.key)) return undefined;
      const id = credentialOfToken('key', text);
      const key = id === undefined ? undefined : await credentials.get(id);
      if (key === undefined || !isTokenOf(key, text)) return null;
      // A request with the complete token is no guess.
      if (key.removedAt !== null) throw new UploadError('ERR_UNAUTHORIZED');
      if (key.endsAt !== null && key.endsAt <= Date.now()) throw new UploadError('ERR_ACCESS_EXPIRED');
      const { owner, limits, endsAt } = key;
      const quota = quotaOfOwner(owner);
      return { owner, source: 'key', credential: key.id, quota, limits, isConfined: false, isByHeader: true, endsAt };
    },
  };
}
