// The ways to sign an address, one by one: the server at hand takes the bytes by some of them, and by none that is chosen for it
// another object comes in their stead.
import { PutObjectCommand } from '@aws-sdk/client-s3';
import { expect, inject, it } from 'vitest';
import { type HeaderGuard, signPut } from '../../server/s3/signed-put.ts';
import { isTaken } from '../support/s3-landfall.ts';
import { testBucket } from '../support/s3-test-bucket.ts';

const NAMES = ['x-amz-copy-source', 'x-amz-acl', 'x-amz-tagging'];

it.for<HeaderGuard>(['absent', 'empty'])('a signature by "%s" names the headers that would change what is asked for', async (guard) => {
  const { bucket } = await testBucket();
  const put = new PutObjectCommand({ ...bucket.at('one'), ContentLength: 1 });
  const { searchParams } = new URL(await signPut(bucket.probing, put, 60, guard));
  const named = (searchParams.get('X-Amz-SignedHeaders') ?? '').split(';');
  expect(named).toEqual(expect.arrayContaining(['content-length', 'host', ...NAMES]));
  expect(named).toEqual(named.toSorted());
  for (const name of NAMES) expect(searchParams.get(name)).toBe(guard === 'empty' ? '' : null);
});

it.skipIf(inject('s3HeaderGuard') === null)('the one that is chosen takes the bytes that it was signed for, and no others', async () => {
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
    // Put into the address, where a guard leaves a place for it, the signature is another's.
    const changed = new URL(await address());
    changed.searchParams.set(name, value);
    expect(await isTaken(fetch(changed, { method: 'PUT', body: 'x' }))).toBe(false);
  }
  expect((await bucket.read('one', 0, 1)).toString()).toBe('o');
  expect(await isTaken(fetch(await address(), { method: 'PUT', body: 'more' }))).toBe(false);
});
