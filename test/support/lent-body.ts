// A body in memory whose source reuses it: lent bytes are overwritten at their release, as the next bytes of a connection would do.
import type { BodyEnd, BodyLimits, BodySource, LeasedBatch, OpenBody } from '../../server/staging/body-source.ts';

export interface LentBody {
  readonly open: OpenBody;
  /** Batches that are lent now; one is allowed. */
  readonly out: number;
  readonly lent: number;
  readonly isClosed: boolean;
}

/** @param batchBytes of each batch but the last, in two buffers; @param cutAt where the body is cut off */
export function lentBody(bytes: Uint8Array, batchBytes: number, cutAt?: number): LentBody {
  const memory = Buffer.alloc(batchBytes);
  const body = { out: 0, lent: 0, isClosed: false };
  const open = ({ maxBytes }: BodyLimits): BodySource => {
    const last = Math.min(cutAt ?? bytes.byteLength, maxBytes);
    let at = 0;
    return {
      get end(): BodyEnd | undefined {
        if (at < last) return undefined;
        if (last < (cutAt ?? bytes.byteLength)) return 'too-long';
        return cutAt === undefined ? 'whole' : 'cut';
      },
      async next(): Promise<LeasedBatch | undefined> {
        if (body.out > 0) throw new Error('A batch was requested before the last one was released.');
        if (at === last) return undefined;
        const count = Math.min(batchBytes, last - at);
        memory.set(bytes.subarray(at, at + count));
        at += count;
        body.out += 1;
        body.lent += 1;
        let isReleased = false;
        return {
          buffers: [memory.subarray(0, count >> 1), memory.subarray(count >> 1, count)],
          bytes: count,
          release() {
            if (isReleased) throw new Error('A batch was released twice.');
            isReleased = true;
            body.out -= 1;
            memory.fill(0xee);
          },
        };
      },
      wake() {},
      close() {
        body.isClosed = true;
      },
    };
  };
  return Object.assign(body, { open });
}
