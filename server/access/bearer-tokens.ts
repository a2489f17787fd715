// `Authorization: Bearer`: tokens of several kinds, told apart by their prefixes and their claims.
import { hash } from 'node:crypto';
import { UploadError } from '../../shared/errors.ts';
import type { GuessLimiter } from './guess-limiter.ts';
import { type AccessSource, bearerOf, type Identity, type Intent } from './identity.ts';

export interface BearerToken {
  readonly text: string;
  /** SHA-256 of the token, under which results are cached. */
  readonly digest: string;
}

/** One kind of token. */
export interface TokenKind {
  /**
   * Undefined: the token is of another kind. Null: it claims to be of this kind and is invalid, so it counts as a guess.
   * @throws UploadError for a genuine token that is not valid now
   */
  identify(token: BearerToken, intent: Intent): Promise<Identity | null | undefined>;
}

export interface BearerTokensOptions {
  kinds: readonly TokenKind[];
  guessLimiter: GuessLimiter;
  /** True when no other source knows tokens: a token of no kind is then refused. Otherwise another source judges it. */
  isLast: boolean;
}

const MAX_KNOWN = 10_000;

/** Schemes of credentials that a browser sends for a proxy, and that also reach the server behind it. Others are meant for Landfall. */
const PROXY_SCHEMES = /^(?:Basic|Digest|Negotiate|NTLM) /i;

export function bearerTokens({ kinds, guessLimiter, isLast }: BearerTokensOptions): AccessSource {
  /** Tokens that were valid when seen last: they are checked even while another sender guesses from the same address. */
  const known = new Set<string>();

  async function judge(token: BearerToken, intent: Intent): Promise<Identity | null | undefined> {
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
        if (isLast && authorization !== '' && !PROXY_SCHEMES.test(authorization)) throw new UploadError('ERR_UNAUTHORIZED');
        return undefined;
      }
      const token = { text, digest: hash('sha256', text, 'base64') };
      if (!known.has(token.digest)) await guessLimiter.requireBelowLimit(request);
      const identity = await judge(token, intent);
      if (identity !== null) return identity;
      await guessLimiter.count(request);
      throw new UploadError('ERR_UNAUTHORIZED');
    },
  };
}
