// Grants and tokens, validly and invalidly signed, and files to send with them.
import { createHmac } from 'node:crypto';
import { createGrant, type GrantOptions } from '../../server/grants.ts';

export const SECRET: string = 'a secret that signs grants and nothing else';
export const JWT_SECRET: string = 'a secret of the identity provider of this test';
export const TEXT: Buffer<ArrayBuffer> = Buffer.from('0123456789');
/** Settings of a server that accepts both and trusts the sender's address. */
export const PROXIED: { trustedProxies: string; jwtSecret: string; grantSecrets: string } = {
  trustedProxies: '127.0.0.1',
  jwtSecret: JWT_SECRET,
  grantSecrets: SECRET,
};
export const seconds = (): number => Math.floor(Date.now() / 1000);

export function signed(claims: object, secret: string, header: object = { alg: 'HS256', typ: 'JWT' }): string {
  const text = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

export const jwt = (sub: string, claims: object = {}): string => signed({ sub, exp: seconds() + 3600, ...claims }, JWT_SECRET);
export function grant(owner: string, options: Partial<GrantOptions> = {}): string {
  return createGrant(SECRET, { owner, expires: '1h', ...options });
}

let addresses = 0;
/** A header that gives the request an address of its own, so that earlier guesses do not count against it. */
export const fromElsewhere = (): { 'X-Forwarded-For': string } => ({ 'X-Forwarded-For': `2001:db8:${(++addresses).toString(16)}::1` });
