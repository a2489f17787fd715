// Tokens of an identity provider, or of an application that signs its own (RFC 7519).
import { errors, type JWTPayload, type JWTVerifyOptions, jwtVerify } from 'jose';
import { UploadError } from '../../shared/errors.ts';
import { NO_LIMITS, quotaOfOwner } from '../ledger/limits.ts';
import { isOwner } from './application.ts';
import type { TokenKind } from './bearer-tokens.ts';
import type { Identity } from './identity.ts';
import { claimsOf, GRANT_CLAIM } from './jwt-claims.ts';
import type { KeySet, Keys } from './jwt-keys.ts';

/** Chosen by the kind of key, never by the token's header: a public key must not serve as a secret (RFC 8725, 3.1). */
export const SECRET_ALGORITHMS: readonly string[] = ['HS256', 'HS384', 'HS512'];
export const PUBLIC_KEY_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** How far the clocks of issuers may differ from ours. */
const TOLERANCE_SECONDS = 10;
const MAX_VERIFIED = 10_000;

export interface JwtOptions {
  keys: Keys;
  algorithms: readonly string[];
  /** Empty: any issuer. Otherwise tokens of other issuers are not of this kind. */
  issuer: string;
  /** The token must name one of them; empty: any. */
  audiences: readonly string[];
  /** The claim that names the owner. */
  ownerClaim: string;
}

interface Verified {
  identity: Identity;
  endsAtMs: number;
  version: number;
}

export function jwtTokens({ keys, algorithms, issuer, audiences, ownerClaim }: JwtOptions): TokenKind {
  const verified = new Map<string, Verified>();
  const options: JWTVerifyOptions = {
    algorithms: [...algorithms],
    clockTolerance: TOLERANCE_SECONDS,
    requiredClaims: ['exp'],
    ...(issuer !== '' && { issuer }),
    ...(audiences.length > 0 && { audience: [...audiences] }),
  };

  function ownerOf(payload: JWTPayload): string {
    const owner = payload[ownerClaim];
    if (isOwner(owner)) return owner;
    throw new UploadError('ERR_UNAUTHORIZED', { detail: `The token names no owner in its claim “${ownerClaim}”.` });
  }

  return {
    async identify({ text, digest }) {
      const known = verified.get(digest);
      if (known === undefined) {
        const claims = claimsOf(text);
        if (claims === undefined || Object.hasOwn(claims, GRANT_CLAIM) || (issuer !== '' && claims.iss !== issuer)) return undefined;
      }
      const current = await keys.current();
      if (known !== undefined && known.version === current.version && Date.now() < known.endsAtMs) return known.identity;
      verified.delete(digest);
      const result = await verify(text, current, keys, options);
      if (result === undefined) return null;
      const { payload, version } = result;
      const owner = ownerOf(payload);
      const identity: Identity = {
        owner,
        source: 'jwt',
        credential: null,
        quota: quotaOfOwner(owner),
        limits: NO_LIMITS,
        isConfined: false,
        isByHeader: true,
      };
      if (verified.size >= MAX_VERIFIED) verified.clear();
      verified.set(digest, { identity, version, endsAtMs: ((payload.exp ?? 0) + TOLERANCE_SECONDS) * 1000 });
      return identity;
    },
  };
}

/** @throws UploadError for a token of the issuer that is not valid now, or not for this server */
async function verify(
  token: string,
  known: KeySet,
  keys: Keys,
  options: JWTVerifyOptions,
): Promise<{ payload: JWTPayload; version: number } | undefined> {
  try {
    const { payload } = await jwtVerify(token, known.find, options);
    return { payload, version: known.version };
  } catch (error) {
    if (error instanceof errors.JWKSNoMatchingKey) {
      return (await keys.renew(known)) ? verify(token, await keys.current(), keys, options) : undefined;
    }
    if (error instanceof errors.JWKSMultipleMatchingKeys) {
      for await (const key of error) {
        const result = await verify(token, { find: async () => key, version: known.version }, keys, options);
        if (result !== undefined) return result;
      }
      return undefined;
    }
    // The claims are checked after the signature.
    if (error instanceof errors.JWTExpired) throw new UploadError('ERR_ACCESS_EXPIRED');
    if (error instanceof errors.JWTClaimValidationFailed) throw new UploadError('ERR_UNAUTHORIZED', { cause: error });
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}
