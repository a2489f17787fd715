// `landfall-server/grants`: an application signs grants with it, and needs nothing else of the server.
import { createHmac, createPrivateKey, KeyObject, randomUUID, sign } from 'node:crypto';
import { parseBytes, parseDuration } from '../shared/units.ts';

/** RFC 7518, 3.2: the key is at least as long as the hash. */
const LEAST_SECRET_BYTES = 32;

/**
 * Sizes are bytes or text such as `5 GB`; durations are milliseconds or text such as `14d`. An omitted limit does not apply.
 *
 * @example
 * ```ts
 * import type { GrantOptions } from 'landfall-server/grants';
 *
 * const options: GrantOptions = { owner: 'guest-17', expires: '14d', maxUploads: 20, maxUploadSize: '5 GB', allow: 'images' };
 * ```
 */
export interface GrantOptions {
  /** The owner of the uploads: a name that the application chooses, 1 to 255 characters. */
  owner: string;
  /** When the grant expires: a date, or a duration from now. */
  expires: Date | number | string;
  /**
   * The id by which the grant is revoked: 1 to 128 letters, digits and `-._~:`. Its uses are counted by id: a new grant with the
   * same id has only what the first one left. @default a new UUID
   */
  id?: string;
  /** Number of uploads in all; refused and cancelled uploads are not counted. @default no limit */
  maxUploads?: number;
  /** Bytes of the largest file. @default the setting `maxUploadSize` */
  maxUploadSize?: number | string;
  /** Bytes of all files together. @default no limit */
  maxBytes?: number | string;
  /** The allowed types, out of the server's own policy, written as in `LANDFALL_ALLOW`: `images,.pdf`. @default the whole policy */
  allow?: string;
  /** Overrides the sender's metadata under these keys. @default {} */
  metadata?: Readonly<Record<string, string>>;
  /** The allowed actions. `create` includes appending to the upload and reading its verdict. @default all of them */
  actions?: readonly ('create' | 'download' | 'terminate')[];
  /** An accepted file is removed after this time. @default the setting `keepFilesFor` */
  keepFilesFor?: number | string;
}

/**
 * Signs a right to upload: a self-contained JWT with the claim `landfall`, which the server verifies with its `LANDFALL_GRANT_SECRETS`
 * or `LANDFALL_GRANT_PUBLIC_KEY_FILES`. Signing sends and stores nothing. Senders present the grant as a bearer token.
 *
 * @param secret of 32 bytes or more, for HS256; or a private Ed25519 key, as a `KeyObject` or in PEM, for EdDSA
 * @throws Error naming the mistake: an unknown option, an invalid size, a secret that is too short
 *
 * @example
 * ```ts
 * import { createGrant } from 'landfall-server/grants';
 *
 * const secret = process.env.LANDFALL_GRANT_SECRETS ?? '';
 * const token = createGrant(secret, { owner: 'guest-17', expires: '14d', maxUploads: 20 });
 * console.log(`Authorization: Bearer ${token}`);
 * ```
 */
export function createGrant(secret: string | Uint8Array | KeyObject, options: GrantOptions): string {
  const {
    owner,
    expires,
    id = randomUUID(),
    maxUploads,
    maxUploadSize,
    maxBytes,
    allow,
    metadata,
    actions,
    keepFilesFor,
    ...rest
  } = options;
  // A misspelt limit must not silently be no limit.
  for (const name of Object.keys(rest)) throw new Error(`A grant has no option “${name}”.`);
  if (typeof owner !== 'string' || owner === '') throw new Error('The grant has no owner.');
  if (!/^[\w.~:-]{1,128}$/.test(id)) throw new Error('The id of the grant is not 1 to 128 letters, digits and “-._~:”.');
  const now = Date.now();
  const endsAt = expires instanceof Date ? expires.getTime() : now + amount(expires, parseDuration);
  if (!Number.isFinite(endsAt) || endsAt <= now)
    throw new Error('The grant does not end in the future: expires is a date, or a time from now.');
  const limits = {
    owner,
    maxUploads: maxUploads === undefined ? undefined : amount(maxUploads, Number),
    maxUploadSize: maxUploadSize === undefined ? undefined : amount(maxUploadSize, parseBytes),
    maxBytes: maxBytes === undefined ? undefined : amount(maxBytes, parseBytes),
    allow,
    metadata,
    actions,
    keepFilesFor: keepFilesFor === undefined ? undefined : amount(keepFilesFor, parseDuration),
  };
  const { algorithm, signatureOf } = signerOf(secret);
  const claims = { jti: id, iat: Math.floor(now / 1000), exp: Math.floor(endsAt / 1000), landfall: limits };
  const signed = `${encode({ alg: algorithm, typ: 'JWT' })}.${encode(claims)}`;
  return `${signed}.${signatureOf(Buffer.from(signed)).toString('base64url')}`;
}

function amount(value: number | string, parse: (text: string) => number): number {
  const parsed = typeof value === 'string' ? parse(value) : value;
  if (!Number.isSafeInteger(parsed) || parsed < 0) throw new Error(`“${value}” is not a whole number.`);
  return parsed;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

interface Signer {
  algorithm: 'HS256' | 'EdDSA';
  signatureOf(bytes: Buffer): Buffer;
}

function signerOf(secret: string | Uint8Array | KeyObject): Signer {
  const isPem = typeof secret === 'string' && secret.includes('-----BEGIN');
  if (isPem || (secret instanceof KeyObject && secret.type !== 'secret')) {
    const key = secret instanceof KeyObject ? secret : createPrivateKey(secret as string);
    if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') throw new Error('The key is not a private Ed25519 key.');
    return { algorithm: 'EdDSA', signatureOf: (bytes) => sign(null, bytes, key) };
  }
  const bytes = secret instanceof KeyObject ? secret.export() : Buffer.from(secret);
  if (bytes.length < LEAST_SECRET_BYTES) throw new Error(`The secret is shorter than ${LEAST_SECRET_BYTES} bytes.`);
  return { algorithm: 'HS256', signatureOf: (signed) => createHmac('sha256', bytes).update(signed).digest() };
}
