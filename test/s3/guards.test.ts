// Each way to sign an address: the S3 server at hand accepts the bytes with some of them. With the one chosen for it, no other
// object can be stored in their place.
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, inject, it } from 'vitest';
import { type HeaderGuard, signPut } from '../../server/s3/signed-put.ts';
import { isTaken } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';

const NAMES = ['x-amz-copy-source', 'x-amz-acl', 'x-amz-tagging'];

it.for<HeaderGuard>(['absent', 'empty'])('a signature by "%s" names the headers that would change the request', async (guard) => {
  const { bucket } = await testBucket();
  const put = new PutObjectCommand({ ...bucket.at('one'), ContentLength: 1 });
  const { searchParams } = new URL(await signPut(bucket.probing, put, 60, guard));
  const named = (searchParams.get('X-Amz-SignedHeaders') ?? '').split(';');
  expect(named).toEqual(expect.arrayContaining(['content-length', 'host', ...NAMES]));
  expect(named).toEqual(named.toSorted());
  for (const name of NAMES) expect(searchParams.get(name)).toBe(guard === 'empty' ? '' : null);
});

it.skipIf(inject('s3HeaderGuard') === null)('the chosen guard accepts the bytes that were signed for, and no others', async () => {
  const { bucket } = await testBucket();
  const guard = inject('s3HeaderGuard') ?? 'unsigned';
  await bucket.put('secret', Buffer.from('s'));
  const address = async () => signPut(bucket.probing, new PutObjectCommand({ ...bucket.at('one'), ContentLength: 1 }), 60, guard);
  expect(await isTaken(fetch(await address(), { method: 'PUT', body: 'o' }))).toBe(true);
  for (const [name, value] of [
    ['x-amz-copy-source', bucket.source('secret')],
    ['x-amz-acl', 'public-read'],
    ['x-amz-website-redirect-location', '/elsewhere'],
    ['x-amz-meta-snowball-auto-extract', 'true'],
  ] as const) {
    expect(await isTaken(fetch(await address(), { method: 'PUT', body: 'x', headers: { [name]: value } }))).toBe(false);
    // A header moved into the address, where a guard leaves a place for it, makes the signature invalid.
    const changed = new URL(await address());
    changed.searchParams.set(name, value);
    expect(await isTaken(fetch(changed, { method: 'PUT', body: 'x' }))).toBe(false);
  }
  expect((await bucket.read('one', 0, 1)).toString()).toBe('o');
  expect(await isTaken(fetch(await address(), { method: 'PUT', body: 'more' }))).toBe(false);
});
