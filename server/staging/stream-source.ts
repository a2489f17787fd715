// A body from a Node stream (the HTTP parser's or a form's), whose chunks own their memory. Chunks are collected while the last batch
// is being written, so that they go out in one write. The stream is paused when enough is waiting.
import type { Readable } from 'node:stream';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import { type BodyEnd, type BodyLimits, type BodySource, type LeasedBatch, MIN_BYTES_PER_TIMEOUT, type OpenBody } from './body-source.ts';

/** Pause the stream above this many waiting bytes: with the batch in flight, the memory one body takes. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** Hand out no smaller batch while more bytes arrive: a system call and a thread hop cost the same for 1 KiB. */
const BATCH_BYTES = 512 * 1024;
/** Hand out bytes that have waited this long, so that a slow sender's bytes are stored while it sends. */
const BATCH_DELAY_MS = 250;

export function streamBody(stream: Readable): OpenBody {
  return (limits) => new StreamSource(stream, limits);
}

/** A batch of a stream's chunks, whose memory only this batch refers to. */
class StreamBatch implements LeasedBatch {
  readonly buffers: Buffer[];
  readonly bytes: number;

  constructor(buffers: Buffer[], bytes: number) {
    this.buffers = buffers;
    this.bytes = bytes;
  }

  /** Drops the chunks: otherwise the caller's stack frame, waiting for the next batch, would keep them in memory. */
  release(): void {
    this.buffers.length = 0;
  }
}

/** Reads a stream as fast as its batches are consumed. */
class StreamSource implements BodySource {
  end: BodyEnd | undefined;
  readonly #stream: Readable;
  readonly #options: BodyLimits;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #received = 0;
  #first = true;
  #wake: (() => void) | undefined;
  #delay: NodeJS.Timeout | undefined;
  #due = false;
  #isWoken = false;
  readonly #watch: NodeJS.Timeout;
  #receivedAtLastLook = 0;
  #wasPaused = false;

  constructor(stream: Readable, options: BodyLimits) {
    this.#stream = stream;
    this.#options = options;
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('close', this.#onClose);
    stream.on('error', this.#onClose);
    options.signal.addEventListener('abort', this.#onAbort);
    this.#watch = setInterval(this.#onWatch, options.bodyTimeoutMs);
    if (options.signal.aborted) this.#onAbort();
    else if (stream.readableEnded) this.#onEnd();
    else if (stream.destroyed) this.#onClose();
  }

  async next(): Promise<LeasedBatch | undefined> {
    while (!this.#isReady()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(this.#delay);
    this.#delay = undefined;
    this.#due = false;
    if (this.#waitingBytes === 0 && (this.end !== undefined || !this.#isWoken)) return undefined;
    this.#isWoken = false;
    const batch = new StreamBatch(this.#waiting, this.#waitingBytes);
    this.#waiting = [];
    if (batch.bytes > 0) this.#first = false;
    this.#waitingBytes = 0;
    if (this.end === undefined) this.#stream.resume();
    return batch;
  }

  /** The first bytes are handed out at once, because they may refuse the file. */
  #isReady(): boolean {
    if (this.end !== undefined || this.#isWoken) return true;
    if (this.#waitingBytes === 0) return false;
    return this.#waitingBytes >= BATCH_BYTES || (!this.#options.inOne && (this.#first || this.#due));
  }

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  close(): void {
    clearTimeout(this.#delay);
    clearInterval(this.#watch);
    this.#stream.off('data', this.#onData);
    this.#stream.off('end', this.#onEnd);
    this.#stream.off('close', this.#onClose);
    this.#stream.off('error', this.#onClose);
    // A socket's late error without a listener would end the process.
    this.#stream.on('error', ignore);
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
      this.#stream.pause();
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
    // A paused stream means that the server's disk is slow, not the sender.
    if (!this.#wasPaused && this.#received - this.#receivedAtLastLook < MIN_BYTES_PER_TIMEOUT) this.#finish('too-slow');
    this.#receivedAtLastLook = this.#received;
    this.#wasPaused = this.#stream.isPaused();
  };

  #finish(end: BodyEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.#stream.pause();
    this.#wake?.();
  }
}

function ignore(): void {}
