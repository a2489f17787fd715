/** The claim that makes a JWT a grant. No other token is taken for a grant. */
export const GRANT_CLAIM = 'landfall';

export type Claims = Readonly<Record<string, unknown>>;

/** The unverified claims of a token; undefined when it is not a signed JWT (RFC 7519, in the compact form of RFC 7515). */
export function claimsOf(token: string): Claims | undefined {
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]*$/.exec(token) ?? [];
  return payload === undefined ? undefined : parseClaims(Buffer.from(payload, 'base64url'));
}

export function parseClaims(payload: Uint8Array): Claims | undefined {
  try {
    const claims: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
    return typeof claims === 'object' && claims !== null && !Array.isArray(claims) ? (claims as Claims) : undefined;
  } catch {
    return undefined;
  }
}
