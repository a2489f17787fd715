// The memory in which parts are collected, shared by all bodies. A body that needs more than is free waits, and its sender with it. A
// slow body gives its memory back by flushing its bytes to S3.
import { SpareParts } from './spare-parts.ts';

/** A body that holds some of the memory. */
export interface Holder {
  /** Bytes of memory that it holds for its present part. */
  readonly held: number;
  /** Growth of its part, in bytes per millisecond. */
  readonly pace: number;
  /** Asks the body to flush its bytes to S3 soon and to give the memory back. */
  flush(): void;
}

interface Waiter {
  holder: Holder;
  bytes: number;
  resolve: (outcome: 'taken' | 'flush') => void;
}

/** Holders that flush at the same time: each takes a connection to S3, and full parts need some, too. */
export const FLUSHES_AT_ONCE = 16;

/** A faster part is full within seconds and is then sent anyway, so it is not flushed in pieces. */
const SLOW_BYTES_PER_MS = 1000;
/** With this share of the memory on its way to S3, more flushes would only make more and smaller objects. */
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

  /** The most bytes of one holder: half of the memory, so that two bodies never wait for each other. */
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

  /** Resolves to `taken` when the holder has the bytes, or to `flush` when it must first give back the bytes that it holds. */
  async take(holder: Holder, bytes: number): Promise<'taken' | 'flush'> {
    if (this.#waiting.length === 0 && bytes <= this.#free) {
      this.#free -= bytes;
      return 'taken';
    }
    // The holder was asked to flush before this call, and would not flush while it waits here. Others wait for its memory.
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

  /** A buffer for bytes that were taken. Its content is arbitrary. */
  buffer(bytes: number): Buffer<ArrayBuffer> {
    return this.#spare.take(bytes, this.#free);
  }

  /** Like `give`, and keeps the buffer for the next part. No one may read it any more, not even a request in flight. */
  giveBack(buffer: Buffer<ArrayBuffer>): void {
    this.give(buffer.byteLength);
    this.#spare.add(buffer, this.#free);
  }

  /** Call when the holder has flushed its bytes, or had none. */
  flushed(holder: Holder): void {
    if (this.#flushing.delete(holder)) this.#serve();
  }

  /** Serves the waiter with the fullest part first, because that part is sent soonest. */
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
   * Asks the slowest other holders to flush: at least one, and as many slow ones as are needed, since thousands of waiters would
   * otherwise wait for one request to S3 after the other. When no holder has any bytes, all memory is on its way to S3 and comes back.
   */
  #relieve(served: Holder): void {
    const most = FLUSHES_AT_ONCE - this.#flushing.size;
    // The loop below visits every holder, so it does not run again after each single flush.
    if (most < FLUSHES_AT_ONCE / 2) return;
    const slowest: { holder: Holder; pace: number }[] = [];
    let held = 0;
    for (const holder of this.#holders) {
      if (holder.held === 0) continue;
      held += holder.held;
      if (holder === served || this.#flushing.has(holder)) continue;
      const { pace } = holder;
      const last = slowest.at(-1);
      if (last !== undefined && slowest.length === most && pace >= last.pace) continue;
      const index = slowest.findIndex((other) => other.pace > pace);
      slowest.splice(index === -1 ? slowest.length : index, 0, { holder, pace });
      if (slowest.length > most) slowest.pop();
    }
    // Parts in flight, and flushes that were asked for before, give memory back anyway.
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
