/** The claim that makes a JWT a grant, and no other token is taken for one. */
export const GRANT_CLAIM = 'landfall';

export type Claims = Readonly<Record<string, unknown>>;

/** What a token says of itself, true or not; undefined where it is no signed JWT (RFC 7519, in the compact form of RFC 7515). */
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
