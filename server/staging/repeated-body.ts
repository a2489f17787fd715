// The body of a repeated creation: it must equal the bytes that are stored, or it belongs to another file.
import { UploadError } from '../../shared/errors.ts';
import type { BodyLimits, OpenBody } from './body-source.ts';
import { type ExpectedChecksum, requireDigest, startDigest } from './chunk-checksum.ts';
import { refusalOf } from './faults.ts';

/** The stored bytes of an upload, from the first one on. */
export interface StoredBody {
  size: number;
  /** Compares bytes below `size`. Called in the order of offsets. */
  isSame(bytes: Buffer, offset: number): Promise<boolean>;
}

/**
 * Compares a body with the stored bytes, and keeps none of it. Bytes that are not stored yet have to be sent with a PATCH.
 *
 * @param expected the body's own checksum: a body that was damaged on its way must not be taken for another file
 * @throws UploadError 422 when bytes differ; 460; the error of a body that does not end whole
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
