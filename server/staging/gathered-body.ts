// What every source of a body does alike, wherever its bytes come from: gather them while the last batch is being written, so that
// they go out in one write; hold the body to its limits; say how it ended.
import { type BodyEnd, type BodyLimits, type BodySource, type LeasedBatch, MIN_BYTES_PER_TIMEOUT } from './body-source.ts';

/** Read no further above this many waiting bytes: with the batch in flight, the memory one body takes. */
const HIGH_WATER_BYTES = 1024 * 1024;
/** Hand on what has waited this long, so that a slow sender's bytes are stored while it sends. */
const BATCH_DELAY_MS = 250;

/** Where the bytes come from: it calls `add` for each read, and `finish` at the end. */
export interface BodyFlow {
  /** Don't hand on less than this while more is coming: a system call and a thread hop cost the same for 1 KiB. */
  readonly batchBytes: number;
  readonly isPaused: boolean;
  pause(): void;
  resume(): void;
  /** Nobody reads these buffers any more. */
  release(buffers: readonly Buffer[]): void;
  /** The source reads no more; what is left of the request is not its. */
  close(): void;
}

/** One batch at a time is out, so it is the source that remembers whose buffers are read. */
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
    // Or the frame that waits for the next batch would keep alive what was written.
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

  /** The next bytes, in memory that stays as it is until `release`. */
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
    if (this.#isReady()) this.#wake?.();
    else if (!this.#limits.inOne) this.#delay ??= setTimeout(this.#onDelay, BATCH_DELAY_MS);
  }

  /** The first word counts. */
  finish(end: BodyEnd): void {
    if (this.end !== undefined) return;
    this.end = end;
    this.#flow.pause();
    this.#wake?.();
  }

  /** There is no memory to read into. */
  pause(): void {
    this.#wasPaused = true;
    this.#flow.pause();
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
    const batch = new GatheredBatch(this.#waiting, this.#waitingBytes, this.#flow);
    this.#waiting = [];
    if (batch.bytes > 0) this.#first = false;
    this.#waitingBytes = 0;
    if (this.end === undefined) this.#flow.resume();
    return batch;
  }

  /** The first bytes go out at once: a file that must be refused is refused by them. */
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
    clearInterval(this.#watch);
    this.#limits.signal.removeEventListener('abort', this.#onAbort);
    this.#flow.release(this.#waiting);
    this.#waiting = [];
    this.#flow.close();
  }

  readonly #onDelay = (): void => {
    this.#due = true;
    this.#wake?.();
  };
  readonly #onAbort = (): void => this.finish('interrupted');
  readonly #onWatch = (): void => {
    // Where nothing is read, it is our own disk's slowness, not the sender's.
    if (!this.#wasPaused && this.#received - this.#receivedAtLastLook < MIN_BYTES_PER_TIMEOUT) this.finish('too-slow');
    this.#receivedAtLastLook = this.#received;
    this.#wasPaused = this.#flow.isPaused;
  };
}
