// Where a body's bytes come from, and whose memory they are in meanwhile: the source lends it, for as long as one write takes.
// Nothing in staging keeps a buffer beyond its release; what is needed longer (the head, a part, bytes to compare) is copied.

/** How a body ended: whole, or cut with what came before it stored. */
export type BodyEnd = 'whole' | 'cut' | 'interrupted' | 'too-long' | 'too-slow';

export interface BodyLimits {
  /** Bytes the body may have; one more ends it with `too-long`. */
  maxBytes: number;
  /** Aborted when the lock was lost: stop after the write in flight, `interrupted`. */
  signal: AbortSignal;
  /** It is little, and of use only whole: nothing is handed on, or stored, before its end. */
  inOne?: boolean;
  /** A body that brings less than `MIN_BYTES_PER_TIMEOUT` in this time ends with `too-slow`. */
  bodyTimeoutMs: number;
}

/** A body slower than this in a `bodyTimeoutMs` only holds a connection. */
export const MIN_BYTES_PER_TIMEOUT = 1024;

/** The next bytes of a body, in memory that the source lends. */
export interface LeasedBatch {
  /** In their order. */
  readonly buffers: readonly Buffer[];
  /** Of all of them together; 0 after a nudge, when nothing came. */
  readonly bytes: number;
  /** Gives the memory back, once; from then on the source may write anything into it. */
  release(): void;
}

export interface BodySource {
  /** How the body ended; undefined while there may be more. What ended it may have come before what is still to be handed out. */
  readonly end: BodyEnd | undefined;
  /** Undefined once the body is over and everything was handed out. One batch is lent at a time: ask when the last one is released. */
  next(): Promise<LeasedBatch | undefined>;
  /** Has `next` return soon, though nothing came. */
  nudge(): void;
  /** Reads no more, whatever is still to come; what is left of the request is not the source's. */
  close(): void;
}

/** Begins to take a body in. Until then none of it is read. */
export type OpenBody = (limits: BodyLimits) => BodySource;

/** Reads a body that is to be compared, or is no file: all of it in memory, at most `maxBytes`. */
export async function collectBody(open: OpenBody, limits: BodyLimits): Promise<{ bytes: Buffer; end: BodyEnd }> {
  const source = open(limits);
  const copies: Buffer[] = [];
  try {
    for (;;) {
      const batch = await source.next();
      if (batch === undefined) return { bytes: Buffer.concat(copies), end: source.end ?? 'cut' };
      copies.push(Buffer.concat(batch.buffers));
      batch.release();
    }
  } finally {
    source.close();
  }
}

/** The first `bytes` of the buffers, and what follows. */
export function splitBuffers(buffers: readonly Buffer[], bytes: number): [Buffer[], Buffer[]] {
  const first: Buffer[] = [];
  const rest: Buffer[] = [];
  let room = bytes;
  for (const buffer of buffers) {
    const taken = Math.min(room, buffer.byteLength);
    if (taken > 0) first.push(buffer.subarray(0, taken));
    if (taken < buffer.byteLength) rest.push(buffer.subarray(taken));
    room -= taken;
  }
  return [first, rest];
}

/** A body that is in memory already. */
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

  nudge(): void {}

  close(): void {}
}
