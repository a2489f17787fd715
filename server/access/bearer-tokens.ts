// `Authorization: Bearer`: tokens of several kinds, told apart by what they begin with and by what they say of themselves.
import { createHash } from 'node:crypto';
import { UploadError } from '../../shared/errors.ts';
import type { Guesses } from './guesses.ts';
import { type AccessSource, bearerOf, type Identity, type Intent } from './identity.ts';

export interface ShownToken {
  readonly text: string;
  /** SHA-256: what is remembered of a token is remembered by it. */
  readonly digest: string;
}

/** One kind of tokens. */
export interface TokenKind {
  /**
   * Undefined: it is no token of this kind. Null: it says that it is one, and is not: a guess.
   * @throws UploadError for one that is true, and does not count now
   */
  identify(token: ShownToken, intent: Intent): Promise<Identity | null | undefined>;
}

export interface BearerTokensOptions {
  kinds: readonly TokenKind[];
  guesses: Guesses;
  /** Nobody else knows tokens: one that is of no kind is refused. Else it is another's to judge. */
  isLast: boolean;
}

const MAX_KNOWN = 10_000;

/** What a browser shows a proxy in front, and goes on showing to whoever is behind it. All else was meant for us, however it is written. */
const OF_PROXIES = /^(?:Basic|Digest|Negotiate|NTLM) /i;

export function bearerTokens({ kinds, guesses, isLast }: BearerTokensOptions): AccessSource {
  /** Those that were true when they came last: they are looked at again whoever else guesses at their sender's address. */
  const known = new Set<string>();

  async function judge(token: ShownToken, intent: Intent): Promise<Identity | null | undefined> {
    for (const kind of kinds) {
      const identity = await kind.identify(token, intent);
      if (identity === undefined) continue;
      if (identity !== null && known.size >= MAX_KNOWN) known.clear();
      if (identity === null) known.delete(token.digest);
      else known.add(token.digest);
      return identity;
    }
    return isLast ? null : undefined;
  }

  return {
    async identify(request, intent) {
      const text = bearerOf(request);
      if (text === undefined) {
        const { authorization = '' } = request.headers;
        if (isLast && authorization !== '' && !OF_PROXIES.test(authorization)) throw new UploadError('ERR_UNAUTHORIZED');
        return undefined;
      }
      const token = { text, digest: createHash('sha256').update(text).digest('base64') };
      if (!known.has(token.digest)) await guesses.requireFew(request);
      const identity = await judge(token, intent);
      if (identity !== null) return identity;
      await guesses.count(request);
      throw new UploadError('ERR_UNAUTHORIZED');
    },
  };
}
