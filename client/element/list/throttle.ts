/** Runs an action now, or at most once in an interval, because figures that change ten times a second cannot be read. */
export class Throttle {
  readonly #action: () => void;
  readonly #everyMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(everyMs: number, action: () => void) {
    this.#everyMs = everyMs;
    this.#action = action;
  }

  now(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lastMs = performance.now();
    this.#action();
  }

  soon(): void {
    if (this.#timer !== undefined) return;
    const waitMs = this.#lastMs + this.#everyMs - performance.now();
    if (waitMs <= 0) this.now();
    else this.#timer = setTimeout(() => this.now(), waitMs);
  }
}
