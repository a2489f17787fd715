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

/** Schemes of credentials that a browser sends for a proxy, and that also reach the server behind it. Others are meant for Landfall. */
const PROXY_SCHEMES = /^(?:Basic|Digest|Negotiate|NTLM) /i;

/**
 * Every token is judged, and only invalid ones are limited: many senders may share one address, and a refused HEAD makes a tus client
 * start over at byte 0. No token can be guessed, and judging one costs no more than a signature or a read of one row by its key.
 */
export function bearerTokens({ kinds, guessLimiter, isLast }: BearerTokensOptions): AccessSource {
  async function judge(token: BearerToken, intent: Intent): Promise<Identity | null | undefined> {
    for (const kind of kinds) {
      const identity = await kind.identify(token, intent);
      if (identity !== undefined) return identity;
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
      const identity = await judge({ text, digest: hash('sha256', text, 'base64') }, intent);
      if (identity !== null) return identity;
      await guessLimiter.count(request);
      throw new UploadError('ERR_UNAUTHORIZED');
    },
  };
}
