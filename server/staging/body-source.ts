// The source of a body's bytes. It owns the memory and lends it for as long as one write takes. Nothing in staging keeps a buffer
// beyond its release: code that needs bytes longer (the head, a part, bytes to compare) copies them.

/** How a body ended. */
export type BodyEnd = 'whole' | 'cut' | 'interrupted' | 'too-long' | 'too-slow';

export interface BodyLimits {
  /** Most bytes of the body; one more ends it with `too-long`. */
  maxBytes: number;
  /** Aborted when the lock is lost or wanted: the body ends with `interrupted` after the write in flight. */
  signal: AbortSignal;
  /** True for a small body that is of use only whole: the source hands out nothing before its end. */
  inOne?: boolean;
  /** A body that brings fewer than `MIN_BYTES_PER_TIMEOUT` bytes in this time ends with `too-slow`. */
  bodyTimeoutMs: number;
}

/** A body that brings fewer bytes than this in `bodyTimeoutMs` is ended, because it only occupies a connection. */
export const MIN_BYTES_PER_TIMEOUT = 1024;

/** The next bytes of a body, in memory that the source lends. */
export interface LeasedBatch {
  /** The buffers in the order of the body. */
  readonly buffers: readonly Buffer[];
  /** Number of bytes in all buffers; 0 after a `wake` when nothing has arrived. */
  readonly bytes: number;
  /** Gives the memory back. Call once: after that the source may overwrite it. */
  release(): void;
}

export interface BodySource {
  /** How the body ended; undefined while it may continue. It may be set while there are still batches to hand out. */
  readonly end: BodyEnd | undefined;
  /** The next batch; undefined after the last one. One batch is lent at a time: call this only when the previous one is released. */
  next(): Promise<LeasedBatch | undefined>;
  /** Makes `next` return soon, also without bytes. */
  wake(): void;
  /** Stops reading. The caller handles the rest of the request. */
  close(): void;
}

/** Starts reading a body. Nothing of it is read before. */
export type OpenBody = (limits: BodyLimits) => BodySource;

/** Reads a whole body into memory, at most `maxBytes`. For bodies that are only compared, or that are not a file. */
export async function collectBody(open: OpenBody, limits: BodyLimits): Promise<{ bytes: Buffer; end: BodyEnd }> {
  const source = open(limits);
  const copies: Buffer[] = [];
  try {
    for (;;) {
      const batch = await source.next();
      if (batch === undefined)
        return { bytes: copies.length === 1 && copies[0] ? copies[0] : Buffer.concat(copies), end: source.end ?? 'cut' };
      copies.push(Buffer.concat(batch.buffers));
      batch.release();
    }
  } finally {
    source.close();
  }
}

/** Splits the buffers after the first `bytes`. */
export function splitBuffers(buffers: readonly Buffer[], bytes: number): [Buffer[], Buffer[]] {
  const first: Buffer[] = [];
  const rest: Buffer[] = [];
  let left = bytes;
  for (const buffer of buffers) {
    const count = Math.min(left, buffer.byteLength);
    if (count > 0) first.push(buffer.subarray(0, count));
    if (count < buffer.byteLength) rest.push(buffer.subarray(count));
    left -= count;
  }
  return [first, rest];
}

/** A body that is in memory. */
export function memoryBody(bytes: Buffer): OpenBody {
  return () => new MemoryBody(bytes);
}

class MemoryBody implements BodySource {
  readonly end = 'whole';
  #bytes: Buffer | undefined;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  async next(): Promise<LeasedBatch | undefined> {
    const bytes = this.#bytes;
    this.#bytes = undefined;
    return bytes === undefined || bytes.byteLength === 0 ? undefined : { buffers: [bytes], bytes: bytes.byteLength, release() {} };
  }

  wake(): void {}

  close(): void {}
}
