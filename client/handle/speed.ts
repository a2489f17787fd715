const HALF_LIFE_MS = 2000;
/** Of about 300 ms: the first burst, which only fills the network's buffers, is not taken for the speed. */
const LEAST_WEIGHT = 0.1;
/** Of about 3 s: from then on the mean says something of the minutes to come. */
const SETTLED_WEIGHT = 0.64;

/**
 * Speed as an exponential mean with a half-life of 2 s over the positions it is told. It starts at the offset an upload
 * goes on from, so what an earlier visit sent does not count as speed; and after a wait there is a new one, since a time in
 * which nothing was tried says nothing of the speed.
 */
export class SpeedMeter {
  #position: number;
  #atMs: number;
  /** Weighted bytes per millisecond, and the weight gathered so far: the mean does not start from zero. */
  #sum = 0;
  #weight = 0;

  constructor(position: number, nowMs: number) {
    this.#position = position;
    this.#atMs = nowMs;
  }

  /** Bytes left this device up to `position`. */
  add(position: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#atMs;
    // Several reports in one tick of the clock count as one.
    if (elapsedMs <= 0) return;
    const share = 1 - 2 ** (-elapsedMs / HALF_LIFE_MS);
    this.#sum += share * ((position - this.#position) / elapsedMs - this.#sum);
    this.#weight += share * (1 - this.#weight);
    this.#position = position;
    this.#atMs = nowMs;
  }

  /** The position jumped without bytes moving: back after a failure, or forward to what the server has. */
  rebase(position: number, nowMs: number): void {
    this.add(this.#position, nowMs);
    this.#position = position;
  }

  /** Enough was seen to tell from it how long the rest will take. */
  get isSettled(): boolean {
    return this.#weight >= SETTLED_WEIGHT;
  }

  /** Fades while nothing is added. */
  bytesPerSecond(nowMs: number): number {
    if (this.#weight === 0) return 0;
    const idleMs = Math.max(nowMs - this.#atMs, 0);
    return Math.max((this.#sum / Math.max(this.#weight, LEAST_WEIGHT)) * 2 ** (-idleMs / HALF_LIFE_MS) * 1000, 0);
  }
}
