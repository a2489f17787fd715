// Signed addresses with which a sender may put a fixed number of bytes under one key.
import { createHash, createHmac } from 'node:crypto';
import { PutObjectCommand, type S3Client, type UploadPartCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

export type SignedPut = PutObjectCommand | UploadPartCommand;

/**
 * Headers with which a sender could use an address for something else. The worst is x-amz-copy-source: S3 then copies any object that
 * this server may read.
 */
const FORBIDDEN_HEADERS = [
  'x-amz-acl',
  'x-amz-copy-source',
  'x-amz-copy-source-range',
  'x-amz-grant-full-control',
  'x-amz-grant-read',
  'x-amz-grant-read-acp',
  'x-amz-grant-write',
  'x-amz-grant-write-acp',
  // MinIO then unpacks the body as an archive and puts its files under any keys.
  'x-amz-meta-snowball-auto-extract',
  'x-amz-metadata-directive',
  'x-amz-object-lock-legal-hold',
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-storage-class',
  'x-amz-tagging',
  'x-amz-website-redirect-location',
];

/**
 * The way to keep S3 from obeying headers that are not signed. AWS refuses such headers (`unsigned`). Old Ceph servers obey them, but
 * verify a signature over all headers that it names, also headers that the request lacks (`absent`). MinIO obeys them, too, and requires
 * each named header in the request or in the address, so the address has them with empty values (`empty`).
 */
export type HeaderGuard = 'unsigned' | 'absent' | 'empty';

/** @param seconds for which the address is valid */
export async function signPut(client: S3Client, command: SignedPut, seconds: number, guard: HeaderGuard): Promise<string> {
  // The length is signed, so that the sender cannot send more bytes than were declared.
  const options = { expiresIn: seconds, signableHeaders: new Set(['content-length', 'host']) };
  const address = new URL(
    command instanceof PutObjectCommand ? await getSignedUrl(client, command, options) : await getSignedUrl(client, command, options),
  );
  if (guard === 'unsigned') return address.href;
  const { accessKeyId, secretAccessKey } = await client.config.credentials();
  const [signedBy, ...scope] = (address.searchParams.get('X-Amz-Credential') ?? '').split('/');
  // The SDK has got new credentials in between.
  if (signedBy !== accessKeyId) return signPut(client, command, seconds, guard);
  return signAbsence(address, command.input.ContentLength ?? 0, scope, secretAccessKey, guard);
}

/** Signs with Signature Version 4, including headers that the request must not have. */
function signAbsence(
  address: URL,
  length: number,
  scope: readonly string[],
  secret: string,
  guard: Exclude<HeaderGuard, 'unsigned'>,
): string {
  const signedHeaders = ['content-length', 'host', ...FORBIDDEN_HEADERS].join(';');
  const query = new Map(address.searchParams);
  query.delete('X-Amz-Signature');
  query.set('X-Amz-SignedHeaders', signedHeaders);
  const empty = guard === 'empty' ? FORBIDDEN_HEADERS : [];
  for (const name of empty) query.set(name, '');
  // Sorted by the names alone: with the `=`, a name that is a prefix of another would come after it.
  const canonicalQuery = [...query]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join('&');
  const headers = [`content-length:${length}`, `host:${address.host}`, ...empty.map((name) => `${name}:`)]
    .map((line) => `${line}\n`)
    .join('');
  const request = ['PUT', address.pathname, canonicalQuery, headers, signedHeaders, 'UNSIGNED-PAYLOAD'].join('\n');
  const digest = createHash('sha256').update(request).digest('hex');
  const text = ['AWS4-HMAC-SHA256', query.get('X-Amz-Date') ?? '', scope.join('/'), digest].join('\n');
  const key = scope.reduce<string | Buffer>((secretOfScope, part) => hmac(secretOfScope, part), `AWS4${secret}`);
  return `${address.origin}${address.pathname}?${canonicalQuery}&X-Amz-Signature=${hmac(key, text).toString('hex')}`;
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}

function encode(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}
