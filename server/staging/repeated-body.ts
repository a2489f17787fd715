// The body of a creation that is asked again: it must be what was stored the first time, or it belongs to another file.
import { UploadError } from '../../shared/errors.ts';
import type { BodyLimits, OpenBody } from './body-source.ts';
import { type ExpectedChecksum, requireDigest, startDigest } from './chunk-checksum.ts';
import { refusalOf } from './faults.ts';

/** What is stored of an upload, from its first byte on. */
export interface StoredBody {
  size: number;
  /** Asked in order, for bytes before `size` alone. */
  isSame(bytes: Buffer, offset: number): Promise<boolean>;
}

/**
 * Reads a body as far as it can be compared, and keeps nothing of it. What was never stored has yet to come, by a PATCH.
 *
 * @param expected what the request says of its body: one that was damaged on its way is no other file
 * @throws UploadError 422 for other bytes than those stored, 460, and what is told of a body that does not come whole
 */
export async function requireSameBody(
  body: OpenBody,
  limits: BodyLimits,
  expected: ExpectedChecksum | undefined,
  stored: StoredBody,
): Promise<void> {
  const source = body(limits);
  const digest = expected && startDigest(expected.algorithm);
  let isSame = true;
  try {
    for (let offset = 0; digest !== undefined || (isSame && offset < stored.size); ) {
      const batch = await source.next();
      if (batch === undefined) break;
      const bytes = Buffer.concat(batch.buffers);
      batch.release();
      digest?.update(bytes);
      const known = bytes.subarray(0, Math.max(stored.size - offset, 0));
      isSame &&= known.byteLength === 0 || (await stored.isSame(known, offset));
      offset += bytes.byteLength;
    }
  } finally {
    source.close();
  }
  const { end = 'whole' } = source;
  if (end !== 'whole') throw refusalOf(end, limits.signal);
  if (expected && digest) requireDigest(expected, digest);
  if (!isSame) throw new UploadError('ERR_IDEMPOTENCY_KEY_REUSED', { detail: 'The first creation with this key had another body.' });
}
