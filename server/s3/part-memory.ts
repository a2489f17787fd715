// The memory that parts are gathered in, shared by all bodies that come in. Whoever needs more than there is waits, and the
// sender with it; a body that hardly grows gives back what it holds by writing it down.

/** One body, as far as the memory concerns it. */
export interface Holder {
  /** Bytes it has taken for the part it is gathering. */
  readonly held: number;
  /** Bytes a second that its part has grown by so far. */
  readonly pace: number;
  /** To write down what it holds and give it back, soon. */
  flush(): void;
}

interface Waiter {
  holder: Holder;
  bytes: number;
  resolve: (outcome: 'taken' | 'flush') => void;
}

export class PartMemory {
  readonly limit: number;
  #free: number;
  readonly #holders = new Set<Holder>();
  readonly #waiting: Waiter[] = [];
  #flushing: Holder | undefined;

  /** @param limit bytes; no part may be larger than half of it, so that two bodies never wait for each other */
  constructor(limit: number) {
    this.limit = limit;
    this.#free = limit;
  }

  get taken(): number {
    return this.limit - this.#free;
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
    return new Promise((resolve) => {
      this.#waiting.push({ holder, bytes, resolve });
      this.#serve();
    });
  }

  give(bytes: number): void {
    this.#free += bytes;
    this.#serve();
  }

  /** What it was asked to write down is written, or was none. */
  flushed(holder: Holder): void {
    if (this.#flushing !== holder) return;
    this.#flushing = undefined;
    this.#serve();
  }

  /** The fullest part first: it is the soonest to leave. */
  #serve(): void {
    while (this.#waiting.length > 0) {
      const next = this.#waiting.reduce((best, waiter) => (waiter.holder.held > best.holder.held ? waiter : best));
      if (next.bytes > this.#free) {
        this.#relieve(next);
        return;
      }
      this.#waiting.splice(this.#waiting.indexOf(next), 1);
      this.#free -= next.bytes;
      next.resolve('taken');
    }
  }

  /** Asks the slowest of the others for what it holds. Where nobody holds any, all of it is on its way to S3 and comes back. */
  #relieve({ holder: served }: Waiter): void {
    if (this.#flushing !== undefined) return;
    let slowest: Holder | undefined;
    for (const holder of this.#holders) {
      if (holder === served || holder.held === 0) continue;
      if (slowest === undefined || holder.pace < slowest.pace) slowest = holder;
    }
    if (slowest === undefined) return;
    this.#flushing = slowest;
    const waits = this.#waiting.findIndex(({ holder }) => holder === slowest);
    if (waits === -1) slowest.flush();
    else for (const { resolve } of this.#waiting.splice(waits, 1)) resolve('flush');
  }
}
