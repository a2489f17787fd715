/** Smaller work counts as this, because it takes a connection, too. */
const LEAST_BYTES = 1024 * 1024;

/**
 * Limits the memory of concurrent operations, which start in the order of their calls. An operation that needs more than the limit runs
 * alone. While it runs, an operation must not wait for a sender.
 */
export class Permits {
  readonly #limit: number;
  #taken = 0;
  readonly #waiting: { bytes: number; enter: () => void }[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  async with<T>(wanted: number, work: () => Promise<T>): Promise<T> {
    const bytes = Math.max(wanted, LEAST_BYTES);
    if (this.#waiting.length === 0 && this.#hasCapacity(bytes)) this.#taken += bytes;
    else await new Promise<void>((enter) => this.#waiting.push({ bytes, enter }));
    try {
      return await work();
    } finally {
      this.#taken -= bytes;
      this.#admit();
    }
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#hasCapacity(next.bytes); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#taken += next.bytes;
      next.enter();
    }
  }

  #hasCapacity(bytes: number): boolean {
    return this.#taken === 0 || this.#taken + bytes <= this.#limit;
  }
}
