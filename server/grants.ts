// `landfall-server/grants`: for applications, which sign what a guest may upload and need nothing of the server for it.
import { createHmac, createPrivateKey, KeyObject, randomUUID, sign } from 'node:crypto';
import { parseBytes, parseDuration } from '../shared/units.ts';

/** RFC 7518, 3.2: a key as long as the hash, at least. */
const LEAST_SECRET_BYTES = 32;

/**
 * Sizes are bytes, or text such as `5 GB`; durations are milliseconds, or text such as `14d`. What is left out is not limited.
 *
 * @example
 * ```ts
 * import type { GrantOptions } from 'landfall-server/grants';
 *
 * const options: GrantOptions = { owner: 'guest-17', expires: '14d', maxUploads: 20, maxUploadSize: '5 GB', allow: 'images' };
 * ```
 */
export interface GrantOptions {
  /** Whose the uploads are: the application's own name for it, 1 to 255 characters. */
  owner: string;
  /** When it ends: a date, or how long from now. */
  expires: Date | number | string;
  /**
   * Its name, to revoke it by: 1 to 128 letters, digits and `-._~:`. Uses are counted by it, so that a grant which is made again
   * under the same name has what is left of the first. @default a new UUID
   */
  id?: string;
  /** How many uploads in all; refused and cancelled ones are not counted. @default no limit */
  maxUploads?: number;
  /** Bytes of the largest file. @default the setting `maxUploadSize` */
  maxUploadSize?: number | string;
  /** Bytes of all files together. @default no limit */
  maxBytes?: number | string;
  /** What of the server's own policy is taken, written as `LANDFALL_ALLOW`: `images,.pdf`. @default all of it */
  allow?: string;
  /** Replaces what the sender says under these keys. @default {} */
  metadata?: Readonly<Record<string, string>>;
  /** What may be done. Who may create may append to what he created, and hears of its verdict. @default all of them */
  actions?: readonly ('create' | 'download' | 'terminate')[];
  /** After so long an accepted file is removed. @default the setting `keepFilesFor` */
  keepFilesFor?: number | string;
}

/**
 * A right to upload, signed and self-contained: a JWT with the claim `landfall`, that the server knows by one of its
 * `LANDFALL_GRANT_SECRETS` or `LANDFALL_GRANT_PUBLIC_KEY_FILES`. Nothing is asked or stored; senders show it as a bearer token.
 *
 * @param secret of 32 bytes or more, for HS256; or a private Ed25519 key, as a `KeyObject` or in PEM, for EdDSA
 * @throws Error with a sentence for what is not right: an option that there is not, a size that is none, a secret that is too short
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
  // A limit that is misspelt must not be a missing limit.
  for (const name of Object.keys(rest)) throw new Error(`There is no option of a grant called “${name}”.`);
  if (typeof owner !== 'string' || owner === '') throw new Error('A grant has an owner: the name of whose the uploads are.');
  if (!/^[\w.~:-]{1,128}$/.test(id)) throw new Error('The id of a grant is 1 to 128 letters, digits and “-._~:”.');
  const now = Date.now();
  const endsAt = expires instanceof Date ? expires.getTime() : now + amount(expires, parseDuration);
  if (!Number.isFinite(endsAt) || endsAt <= now) throw new Error('A grant ends in the future: expires is a date, or how long from now.');
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
    if (key.type !== 'private' || key.asymmetricKeyType !== 'ed25519') throw new Error('Grants are signed by a private Ed25519 key.');
    return { algorithm: 'EdDSA', signatureOf: (bytes) => sign(null, bytes, key) };
  }
  const bytes = secret instanceof KeyObject ? secret.export() : Buffer.from(secret);
  if (bytes.length < LEAST_SECRET_BYTES) throw new Error(`The secret of grants has at least ${LEAST_SECRET_BYTES} bytes.`);
  return { algorithm: 'HS256', signatureOf: (signed) => createHmac('sha256', bytes).update(signed).digest() };
}
