import type { Readable } from 'node:stream';
import type { Bucket } from './bucket.ts';

/** The stream fails when the connection breaks more often than this without a byte in between. */
const MAX_BREAKS = 5;

export interface ObjectStreamOptions {
  /** A response of S3 that has already started, from `start` on. */
  first?: Readable;
  /** Aborted when the reader is gone. */
  signal?: AbortSignal;
}

/**
 * Streams bytes [start, end) of an object. When the connection to S3 breaks, the stream continues at the same byte with a new one. An
 * idle connection is closed and replaced in the same way, so a reader may pause for any time.
 * @throws S3Fault, the connection's error, or the reason of the signal
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
