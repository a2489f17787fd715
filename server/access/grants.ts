// Upload rights that an application signed. The ledger has no row for them, but counts their uses.
import { type CompactVerifyResult, compactVerify, createLocalJWKSet, errors } from 'jose';
import { UploadError } from '../../shared/errors.ts';
import { quotaOfOwner } from '../ledger/limits.ts';
import type { TokenKind } from './bearer-tokens.ts';
import type { CachedCredentials } from './cached-credentials.ts';
import type { Identity, Intent } from './identity.ts';
import { type Claims, claimsOf, GRANT_CLAIM, parseClaims } from './jwt-claims.ts';
import { readKeyFile } from './jwt-keys.ts';
import { parseOwnerLimits } from './owner-limits.ts';

/** How far the clocks of issuers may be ahead of ours. The end of a grant is judged by our clock. */
const TOLERANCE_MS = 10_000;
const MAX_VERIFIED = 10_000;

/** The issuer's id of a grant, by which its uses are counted and by which it is revoked. */
export const GRANT_ID: RegExp = /^[\w.~:-]{1,128}$/;

export interface GrantsOptions {
  secrets: readonly string[];
  /** Paths of PEM files with Ed25519 keys. */
  publicKeyFiles: readonly string[];
  credentials: CachedCredentials;
  /** For this long after its end, uploads that a grant created may be appended to and inspected: in milliseconds, by the wall clock. */
  graceMs: number;
}

interface Verified {
  identity: Identity;
  startsAtMs: number;
  endsAtMs: number;
}

/** Intents that are allowed after the end, for uploads created before it. */
const INTENTS_AFTER_END: readonly Intent[] = ['append', 'inspect'];

/** @throws KeyFileUnusable */
export async function grantTokens({ secrets, publicKeyFiles, credentials, graceMs }: GrantsOptions): Promise<TokenKind> {
  const verifiers = [...secrets.map(secretVerifier), ...(await Promise.all(publicKeyFiles.map(keyFileVerifier)))];
  const verified = new Map<string, Verified>();

  /** Undefined: no known key has signed it. */
  async function verify(token: string): Promise<Verified | undefined> {
    for (const signer of verifiers) {
      const payload = await signer(token);
      if (payload !== undefined) return verifiedOf(payload);
    }
    return undefined;
  }

  return {
    async identify({ text, digest }, intent) {
      let grant = verified.get(digest);
      if (grant === undefined) {
        const claims = claimsOf(text);
        if (claims === undefined || !Object.hasOwn(claims, GRANT_CLAIM)) return undefined;
        grant = await verify(text);
        if (grant === undefined) return null;
        if (verified.size >= MAX_VERIFIED) verified.clear();
        verified.set(digest, grant);
      }
      const { identity, startsAtMs, endsAtMs } = grant;
      const now = Date.now();
      if (now + TOLERANCE_MS < startsAtMs) throw new UploadError('ERR_UNAUTHORIZED', { detail: 'The grant is not valid yet.' });
      if (now >= endsAtMs && !(INTENTS_AFTER_END.includes(intent) && now < endsAtMs + graceMs)) throw new UploadError('ERR_ACCESS_EXPIRED');
      const revoked = await credentials.get(identity.credential ?? '');
      if (revoked !== undefined && revoked.removedAt !== null) throw new UploadError('ERR_UNAUTHORIZED');
      return identity;
    },
  };
}

/** Returns the claims if the signature is valid. */
type Verifier = (token: string) => Promise<Claims | undefined>;

function secretVerifier(secret: string): Verifier {
  const key = new TextEncoder().encode(secret);
  return (token) => verifiedClaims(() => compactVerify(token, key, { algorithms: ['HS256'] }));
}

async function keyFileVerifier(path: string): Promise<Verifier> {
  const { keys } = await readKeyFile(path, 'LANDFALL_GRANT_PUBLIC_KEY_FILES');
  const each = keys.map((key) => createLocalJWKSet({ keys: [key] }));
  return async (token) => {
    for (const key of each) {
      const claims = await verifiedClaims(() => compactVerify(token, key, { algorithms: ['EdDSA', 'Ed25519'] }));
      if (claims !== undefined) return claims;
    }
    return undefined;
  };
}

async function verifiedClaims(verify: () => Promise<CompactVerifyResult>): Promise<Claims | undefined> {
  try {
    return parseClaims((await verify()).payload);
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

/** @throws UploadError naming the mistake: the valid signature shows that a trusted application made the grant */
function verifiedOf({ jti, exp, nbf = 0, [GRANT_CLAIM]: claim }: Claims): Verified {
  if (typeof jti !== 'string' || !GRANT_ID.test(jti)) throw unreadable('its “jti” is not 1 to 128 letters, digits and “-._~:”');
  if (typeof exp !== 'number' || typeof nbf !== 'number') throw unreadable('its “exp” is not a number of seconds');
  const given = parseOwnerLimits(claim, GRANT_CLAIM);
  if (typeof given === 'string') throw unreadable(given);
  const { owner, limits } = given;
  const identity: Identity = {
    owner,
    source: 'grant',
    credential: `grant:${jti}`,
    quota: quotaOfOwner(owner),
    limits,
    isConfined: true,
    isByHeader: true,
    endsAt: exp * 1000,
  };
  return { identity, startsAtMs: nbf * 1000, endsAtMs: exp * 1000 };
}

function unreadable(fault: string): UploadError {
  return new UploadError('ERR_UNAUTHORIZED', { detail: `The grant cannot be read: ${fault}.` });
}
