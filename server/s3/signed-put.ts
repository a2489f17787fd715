// Addresses that let somebody else put so many bytes in one place, in this server's name.
import { createHash, createHmac } from 'node:crypto';
import { PutObjectCommand, type S3Client, type UploadPartCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';

export type SignedPut = PutObjectCommand | UploadPartCommand;

/**
 * Headers that would make something else of a request than its sender was given an address for. The worst names a source: S3
 * then copies any object that this server may read.
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
  // MinIO takes the body apart then, and puts what is in it under any keys.
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
 * How S3 is kept from obeying headers that are not signed. AWS refuses them (`unsigned`). Old servers of Ceph obey them, but hold a
 * signature against all headers that it names, also where the request has none of them (`absent`). MinIO obeys them, too, and wants
 * each header that is named in the request or, by the same name, in the address: there they are, with nothing in them (`empty`).
 */
export type HeaderGuard = 'unsigned' | 'absent' | 'empty';

/** @param seconds that the address is good for */
export async function signPut(client: S3Client, command: SignedPut, seconds: number, guard: HeaderGuard): Promise<string> {
  // With the length signed, nobody can send more than was declared.
  const options = { expiresIn: seconds, signableHeaders: new Set(['content-length', 'host']) };
  const address = new URL(
    command instanceof PutObjectCommand ? await getSignedUrl(client, command, options) : await getSignedUrl(client, command, options),
  );
  if (guard === 'unsigned') return address.href;
  const { accessKeyId, secretAccessKey } = await client.config.credentials();
  const [signedBy, ...scope] = (address.searchParams.get('X-Amz-Credential') ?? '').split('/');
  // New credentials came in between.
  if (signedBy !== accessKeyId) return signPut(client, command, seconds, guard);
  return signAbsence(address, command.input.ContentLength ?? 0, scope, secretAccessKey, guard);
}

/** Signature Version 4, over headers that the request must not have as well. */
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
  // By the names alone: with its `=` one that another begins with would come behind that.
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
