// From a request to a file with as little between as there can be: chunks are gathered while the last batch is being
// written and go out in one writev. One write is in flight; the source is paused when a batch is full.
import type { Readable } from 'node:stream';
import type { OpenFile } from '../disk/open-file.ts';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import type { BodyEnd, BodyLimits, WriteOptions, Written } from './staging.ts';

/** Pause the source above this many waiting bytes: with the batch in flight, the memory one body takes. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** Don't write less than this while more is coming: a system call and a thread hop cost the same for 1 KiB. */
const BATCH_BYTES = 512 * 1024;
/** But write what has waited this long, so that a slow sender's bytes are stored while it sends. */
const BATCH_DELAY_MS = 250;
/** The system takes no more buffers in one writev (IOV_MAX). */
const MAX_BUFFERS = 1024;
/** A body slower than this in a `bodyTimeoutMs` only holds a connection. */
export const MIN_BYTES_PER_TIMEOUT = 1024;

/**
 * Appends a body to a file from `offset` on and says how it ended. Resolves after the last write returned, never before.
 * @throws what the system says of a failed write, and what `onBatch` throws; `bytes` that were written stay written
 */
export async function writeBody(file: OpenFile, offset: number, source: Readable, options: WriteOptions): Promise<Written> {
  const gathered = new StreamSource(source, options);
  let bytes = 0;
  try {
    for (;;) {
      const batch = await gathered.next();
      if (batch === undefined) return { bytes, end: gathered.end ?? 'cut', proof: 'unknown' };
      await options.onBatch(batch, offset + bytes);
      while (batch.length > 0) bytes += await writeWhole(file, batch.splice(0, MAX_BUFFERS), offset + bytes);
      options.onWritten?.(() => file.datasync(), offset + bytes);
    }
  } finally {
    gathered.release();
  }
}

/** Reads a body that is to be compared, not stored; the same limits hold. `maxBytes` is what is kept in memory. */
export async function collectBody(source: Readable, options: BodyLimits): Promise<{ bytes: Buffer; end: BodyEnd }> {
  const gathered = new StreamSource(source, options);
  const batches: Buffer[] = [];
  try {
    for (;;) {
      const batch = await gathered.next();
      if (batch === undefined) return { bytes: Buffer.concat(batches), end: gathered.end ?? 'cut' };
      batches.push(...batch);
    }
  } finally {
    gathered.release();
  }
}

/** Leaves the array empty: while the next batch is waited for, the caller's frame would keep alive what was written. */
async function writeWhole(file: OpenFile, buffers: Buffer[], position: number): Promise<number> {
  let written = 0;
  let rest = buffers;
  for (;;) {
    const bytes = await file.writev(rest, position + written);
    written += bytes;
    let skip = bytes;
    const left: Buffer[] = [];
    for (const buffer of rest) {
      if (skip >= buffer.byteLength) skip -= buffer.byteLength;
      else {
        left.push(buffer.subarray(skip));
        skip = 0;
      }
    }
    if (left.length === 0) {
      buffers.length = 0;
      return written;
    }
    // Short writes come before a full disk's ENOSPC, which the next call then throws.
    rest = left;
  }
}

/** Takes a body in, as fast as its batches are taken out. */
export class StreamSource {
  end: BodyEnd | undefined;
  readonly #source: Readable;
  readonly #options: BodyLimits;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #received = 0;
  #first = true;
  #wake: (() => void) | undefined;
  #delay: NodeJS.Timeout | undefined;
  #due = false;
  #isNudged = false;
  readonly #watch: NodeJS.Timeout;
  #receivedAtLastLook = 0;
  #wasPaused = false;

  constructor(source: Readable, options: BodyLimits) {
    this.#source = source;
    this.#options = options;
    source.on('data', this.#onData);
    source.on('end', this.#onEnd);
    source.on('close', this.#onClose);
    source.on('error', this.#onClose);
    options.signal.addEventListener('abort', this.#onAbort);
    this.#watch = setInterval(this.#onWatch, options.bodyTimeoutMs);
    if (options.signal.aborted) this.#onAbort();
    else if (source.readableEnded) this.#onEnd();
    else if (source.destroyed) this.#onClose();
  }

  /** The next batch, or undefined once the body is over and everything was handed out; an empty one after a nudge. */
  async next(): Promise<Buffer[] | undefined> {
    while (!this.#isReady()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(this.#delay);
    this.#delay = undefined;
    this.#due = false;
    if (this.#waitingBytes === 0 && (this.end !== undefined || !this.#isNudged)) return undefined;
    this.#isNudged = false;
    const batch = this.#waiting;
    this.#waiting = [];
    if (this.#waitingBytes > 0) this.#first = false;
    this.#waitingBytes = 0;
    if (this.end === undefined) this.#source.resume();
    return batch;
  }

  /** The first bytes go out at once: a file that must be refused is refused by them. */
  #isReady(): boolean {
    if (this.end !== undefined || this.#isNudged) return true;
    if (this.#waitingBytes === 0) return false;
    return this.#waitingBytes >= BATCH_BYTES || (!this.#options.inOne && (this.#first || this.#due));
  }

  /** Has `next` return soon, though nothing came. */
  nudge(): void {
    this.#isNudged = true;
    this.#wake?.();
  }

  release(): void {
    clearTimeout(this.#delay);
    clearInterval(this.#watch);
    this.#source.off('data', this.#onData);
    this.#source.off('end', this.#onEnd);
    this.#source.off('close', this.#onClose);
    this.#source.off('error', this.#onClose);
    // Someone must listen: a socket's late error would otherwise end the process.
    this.#source.on('error', ignore);
    this.#options.signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onData = (chunk: Buffer): void => {
    if (this.end !== undefined) return;
    this.#received += chunk.byteLength;
    countYoungBytes(chunk.byteLength);
    if (this.#received > this.#options.maxBytes) {
      this.#finish('too-long');
      return;
    }
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.byteLength;
    if (this.#waitingBytes >= HIGH_WATER_BYTES) {
      this.#source.pause();
      this.#wasPaused = true;
    }
    if (this.#isReady()) this.#wake?.();
    else if (!this.#options.inOne) this.#delay ??= setTimeout(this.#onDelay, BATCH_DELAY_MS);
  };
  readonly #onDelay = (): void => {
    this.#due = true;
    this.#wake?.();
  };
  readonly #onEnd = (): void => this.#finish('whole');
  readonly #onClose = (): void => this.#finish('cut');
  readonly #onAbort = (): void => this.#finish('interrupted');
  readonly #onWatch = (): void => {
    // A paused source is our own disk's slowness, not the sender's.
    if (!this.#wasPaused && this.#received - this.#receivedAtLastLook < MIN_BYTES_PER_TIMEOUT) this.#finish('too-slow');
    this.#receivedAtLastLook = this.#received;
    this.#wasPaused = this.#source.isPaused();
  };

  #finish(end: BodyEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.#source.pause();
    this.#wake?.();
  }
}

function ignore(): void {}
