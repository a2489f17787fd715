import { createHash, createHmac, randomFillSync } from 'node:crypto';
import { expect, it } from 'vitest';
import { PayloadHash } from '../../server/s3/payload-hash.ts';

const BYTES = 3 * 1024 * 1024 + 1;

async function digestOf(...pieces: (string | Uint8Array)[]): Promise<string> {
  const hash = new PayloadHash();
  for (const piece of pieces) hash.update(piece);
  return Buffer.from(await hash.digest()).toString('hex');
}

it('hashes a part in shared memory where it lies, many at once, each by its own bytes', async () => {
  const parts = Array.from({ length: 6 }, () => randomFillSync(Buffer.from(new SharedArrayBuffer(BYTES + 8))).subarray(5, BYTES));
  const digests = await Promise.all(parts.map((part) => digestOf(part)));
  expect(digests).toEqual(parts.map((part) => createHash('sha256').update(part).digest('hex')));
});

it('hashes what is not shared, what is small, and what has a secret, as well', async () => {
  const large = randomFillSync(Buffer.alloc(BYTES));
  expect(await digestOf(large)).toBe(createHash('sha256').update(large).digest('hex'));
  expect(await digestOf('a', Buffer.from('b'))).toBe(createHash('sha256').update('ab').digest('hex'));
  const keyed = new PayloadHash('secret');
  keyed.update(large);
  expect(Buffer.from(await keyed.digest()).equals(createHmac('sha256', 'secret').update(large).digest())).toBe(true);
});
