// The memory that parts are gathered in, shared by all bodies that come in. Whoever needs more than there is waits, and the
// sender with it; a body that hardly grows gives back what it holds by writing it down.
import { SpareParts } from './spare-parts.ts';

/** One body, as far as the memory concerns it. */
export interface Holder {
  /** Bytes it has taken for the part it is gathering. */
  readonly held: number;
  /** Bytes a millisecond that its part has grown by so far. */
  readonly pace: number;
  /** To write down what it holds and give it back, soon. */
  flush(): void;
}

interface Waiter {
  holder: Holder;
  bytes: number;
  resolve: (outcome: 'taken' | 'flush') => void;
}

/** Holders that are asked to write down what they hold at once: each takes a connection to S3, of which parts need some too. */
export const FLUSHES_AT_ONCE = 16;

/** Faster, and a part is full in seconds and leaves by itself, so what it holds had better stay together. */
const SLOW_BYTES_PER_MS = 1000;
/** With so much of the memory on its way to S3, more flushes would only make more and smaller objects. */
const IN_MOTION = 0.5;

export class PartMemory {
  readonly limitBytes: number;
  #free: number;
  readonly #holders = new Set<Holder>();
  readonly #waiting: Waiter[] = [];
  readonly #flushing = new Set<Holder>();
  readonly #spare = new SpareParts();

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes;
    this.#free = limitBytes;
  }

  /** That one holder may have: half of it all, so that two bodies never wait for each other. */
  get most(): number {
    return Math.floor(this.limitBytes / 2);
  }

  get taken(): number {
    return this.limitBytes - this.#free;
  }

  enter(holder: Holder): void {
    this.#holders.add(holder);
  }

  leave(holder: Holder): void {
    this.#holders.delete(holder);
    this.flushed(holder);
  }

  /** Resolves when the bytes are the holder's, or with `flush` when it must give back what it has before it asks again. */
  async take(holder: Holder, bytes: number): Promise<'taken' | 'flush'> {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes;
      return 'taken';
    }
    // Asked before it came to wait, it would not hear of it here, and the others count on what it holds.
    if (this.#flushing.has(holder) && holder.held > 0) return 'flush';
    return new Promise((resolve) => {
      this.#waiting.push({ holder, bytes, resolve });
      this.#serve();
    });
  }

  give(bytes: number): void {
    this.#free += bytes;
    this.#serve();
  }

  /** For bytes that were taken; with anything in it. */
  buffer(bytes: number): Buffer<ArrayBuffer> {
    return this.#spare.take(bytes, this.#free);
  }

  /** Like `give`, for a buffer that nobody reads any more, a request to S3 that is still on its way included. */
  giveBack(buffer: Buffer<ArrayBuffer>): void {
    this.give(buffer.byteLength);
    this.#spare.add(buffer, this.#free);
  }

  /** What it was asked to write down is written, or was none. */
  flushed(holder: Holder): void {
    if (this.#flushing.delete(holder)) this.#serve();
  }

  /** The fullest part first: it is the soonest to leave. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const next = this.#waiting.reduce((best, waiter) => (waiter.holder.held > best.holder.held ? waiter : best));
      if (next.bytes > this.#free) {
        this.#relieve(next.holder);
        return;
      }
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#free -= next.bytes;
      next.resolve('taken');
    }
  }

  /**
   * Asks the slowest of the others for what they hold: one where one is enough, and of slow ones as many as it takes, or thousands
   * of them would wait for one request to S3 after the other. Where nobody holds any, all of it is on its
   * way to S3 and comes back.
   */
  #relieve(served: Holder): void {
    const room = FLUSHES_AT_ONCE - this.#flushing.size;
    // Every holder is looked at, so not again for each that is done.
    if (room < FLUSHES_AT_ONCE / 2) return;
    const slowest: { holder: Holder; pace: number }[] = [];
    let held = 0;
    for (const holder of this.#holders) {
      if (holder.held === 0) continue;
      held += holder.held;
      if (holder === served || this.#flushing.has(holder)) continue;
      const { pace } = holder;
      const last = slowest.at(-1);
      if (last !== undefined && slowest.length === room && pace >= last.pace) continue;
      const place = slowest.findIndex((other) => other.pace > pace);
      slowest.splice(place === -1 ? slowest.length : place, 0, { holder, pace });
      if (slowest.length > room) slowest.pop();
    }
    // What comes back without anybody being asked: parts on their way, and what was asked for before.
    const wanted = this.#waiting.reduce((sum, { bytes }) => sum + bytes, 0);
    let missing = Math.min(wanted, this.limitBytes * IN_MOTION) - this.#free - (this.taken - held);
    for (const holder of this.#flushing) missing -= holder.held;
    for (const { holder, pace } of slowest) {
      if (this.#flushing.size > 0 && (missing <= 0 || pace > SLOW_BYTES_PER_MS)) return;
      this.#flushing.add(holder);
      missing -= holder.held;
      const waits = this.#waiting.findIndex((waiter) => waiter.holder === holder);
      if (waits === -1) holder.flush();
      else for (const { resolve } of this.#waiting.splice(waits, 1)) resolve('flush');
    }
  }
}
