import type { Readable } from 'node:stream';
import type { Bucket } from './bucket.ts';

/** Breaks without a byte between them; what breaks more often is a fault. */
const MAX_BREAKS = 5;

export interface ObjectStreamOptions {
  /** What S3 has begun to answer with already, from `start` on. */
  first?: Readable;
  /** Nobody reads any more. */
  signal?: AbortSignal;
}

/**
 * Bytes [start, end) of an object, gone on with where the connection to S3 broke: one on which nothing moves is given up, and a
 * reader may pause for as long as he likes.
 * @throws S3Fault, what the connection says, or the reason of the signal
 */
export async function* streamObject(
  bucket: Bucket,
  key: string,
  start: number,
  end: number,
  { first, signal }: ObjectStreamOptions = {},
): AsyncIterable<Buffer> {
  let body = first;
  const leave = () => body?.destroy();
  signal?.addEventListener('abort', leave);
  try {
    for (let at = start, breaks = 0; at < end; ) {
      const before = at;
      body ??= await bucket.stream(key, { start: at, end });
      try {
        signal?.throwIfAborted();
        for await (const piece of body) {
          at += (piece as Buffer).byteLength;
          yield piece as Buffer;
        }
        if (at < end) throw new Error(`${key} ended at byte ${at} of ${end}.`);
      } catch (error) {
        breaks = at > before ? 1 : breaks + 1;
        if (signal?.aborted || breaks > MAX_BREAKS) throw error;
      } finally {
        body.destroy();
        body = undefined;
      }
    }
  } finally {
    signal?.removeEventListener('abort', leave);
    body?.destroy();
  }
}
