// The common part of all body sources: it gathers bytes while the previous batch is written, so that they go out in one write, applies
// the limits, and reports how the body ended.
import { type BodyEnd, type BodyLimits, type BodySource, type LeasedBatch, MIN_BYTES_PER_TIMEOUT } from './body-source.ts';

/** Pauses reading at this many waiting bytes. Together with the batch in flight, this is the memory of one body. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** Bytes that waited this long go out, so that a slow client's bytes are stored while it sends. */
const BATCH_DELAY_MS = 250;
/** A client that sends less than this in `BATCH_DELAY_MS` is slow. */
export const SLOW_BYTES: number = 16 * 1024;

/** The origin of the bytes. It calls `add` for each read, and `finish` at the end. */
export interface BodyFlow {
  /** Smallest batch, in bytes, while more bytes are coming: a system call and a thread hop cost as much for 1 KiB as for a large batch. */
  readonly batchBytes: number;
  readonly isPaused: boolean;
  /** True when the next bytes of a slow client can wait in the system, and their connection can wait to be read. */
  readonly mayRest: boolean;
  pause(): void;
  resume(): void;
  /** Takes the buffers back: staging no longer reads them. */
  release(buffers: readonly Buffer[]): void;
  /** Stops reading. The caller handles the rest of the request. */
  close(): void;
}

/** One batch is lent at a time. */
class GatheredBatch implements LeasedBatch {
  readonly buffers: Buffer[];
  readonly bytes: number;
  readonly #flow: BodyFlow;

  constructor(buffers: Buffer[], bytes: number, flow: BodyFlow) {
    this.buffers = buffers;
    this.bytes = bytes;
    this.#flow = flow;
  }

  release(): void {
    this.#flow.release(this.buffers);
    // Otherwise the function that waits for the next batch would keep the written bytes in memory.
    this.buffers.length = 0;
  }
}

export class GatheredBody implements BodySource {
  end: BodyEnd | undefined;
  readonly #flow: BodyFlow;
  readonly #limits: BodyLimits;
  readonly #watch: NodeJS.Timeout;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  #received = 0;
  #first = true;
  #wake: (() => void) | undefined;
  #delay: NodeJS.Timeout | undefined;
  #due = false;
  /**
   * A slow client's bytes go out at once, and then its connection is not read for `BATCH_DELAY_MS`. So the bytes wait in the system. In
   * this process, those of thousands of clients would outlive many collections of the young generation.
   */
  #isSlow = false;
  #rest: NodeJS.Timeout | undefined;
  #isWoken = false;
  #receivedAtLastLook = 0;
  #wasPaused = false;

  constructor(flow: BodyFlow, limits: BodyLimits) {
    this.#flow = flow;
    this.#limits = limits;
    limits.signal.addEventListener('abort', this.#onAbort);
    this.#watch = setInterval(this.#onWatch, limits.bodyTimeoutMs);
    if (limits.signal.aborted) this.#onAbort();
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** Adds bytes, in memory that does not change before `release`. */
  add(buffer: Buffer): void {
    if (this.end !== undefined) {
      this.#flow.release([buffer]);
      return;
    }
    this.#received += buffer.byteLength;
    if (this.#received > this.#limits.maxBytes) {
      this.#flow.release([buffer]);
      this.finish('too-long');
      return;
    }
    this.#waiting.push(buffer);
    this.#waitingBytes += buffer.byteLength;
    if (this.#waitingBytes >= HIGH_WATER_BYTES) this.pause();
    else if (this.#isSlow && this.#flow.mayRest) {
      this.#due = true;
      this.#flow.pause();
      this.#rest ??= setTimeout(GatheredBody.#onRested, BATCH_DELAY_MS, this);
    }
    if (this.#isReady()) this.#wake?.();
    else if (!this.#limits.inOne) this.#delay ??= setTimeout(GatheredBody.#onDelay, BATCH_DELAY_MS, this);
  }

  /** Ends the body. Only the first call counts. */
  finish(end: BodyEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.#flow.pause();
    this.#wake?.();
  }

  /** True while the connection of a slow client is not read. */
  get isResting(): boolean {
    return this.#rest !== undefined;
  }

  /** Pauses reading, for example while no buffer is free. */
  pause(): void {
    this.#wasPaused = true;
    this.#flow.pause();
  }

  next(): Promise<LeasedBatch | undefined> {
    if (this.#isReady()) return Promise.resolve(this.#take());
    return new Promise<void>((resolve) => {
      this.#wake = resolve;
    }).then(this.#take);
  }

  readonly #take = (): LeasedBatch | undefined => {
    this.#wake = undefined;
    clearTimeout(this.#delay);
    this.#delay = undefined;
    this.#isSlow = this.#due && this.#waitingBytes < SLOW_BYTES;
    this.#due = false;
    if (this.#waitingBytes === 0 && (this.end !== undefined || !this.#isWoken)) return undefined;
    this.#isWoken = false;
    const batch = new GatheredBatch(this.#waiting, this.#waitingBytes, this.#flow);
    this.#waiting = [];
    if (batch.bytes > 0) this.#first = false;
    this.#waitingBytes = 0;
    if (this.end === undefined) this.#flow.resume();
    return batch;
  };

  /** True when `next` need not wait. The first bytes go out at once, because they may be enough to refuse the file. */
  #isReady(): boolean {
    if (this.end !== undefined || this.#isWoken) return true;
    if (this.#waitingBytes === 0) return false;
    return this.#waitingBytes >= this.#flow.batchBytes || (!this.#limits.inOne && (this.#first || this.#due));
  }

  wake(): void {
    this.#isWoken = true;
    this.#wake?.();
  }

  close(): void {
    clearTimeout(this.#delay);
    clearTimeout(this.#rest);
    clearInterval(this.#watch);
    this.#limits.signal.removeEventListener('abort', this.#onAbort);
    this.#flow.release(this.#waiting);
    this.#waiting = [];
    this.#flow.close();
  }

  // Static, because most bodies need no timer most of the time.
  static readonly #onDelay = (body: GatheredBody): void => {
    body.#due = true;
    body.#wake?.();
  };
  static readonly #onRested = (body: GatheredBody): void => {
    body.#rest = undefined;
    if (body.end === undefined && body.#waitingBytes < HIGH_WATER_BYTES) body.#flow.resume();
  };
  readonly #onAbort = (): void => this.finish('interrupted');
  readonly #onWatch = (): void => {
    // Reading is paused when the disk is slow, not the client.
    if (!this.#wasPaused && this.#received - this.#receivedAtLastLook < MIN_BYTES_PER_TIMEOUT) this.finish('too-slow');
    this.#receivedAtLastLook = this.#received;
    this.#wasPaused = this.#flow.isPaused && !this.isResting;
  };
}
