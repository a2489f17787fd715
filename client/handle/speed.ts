const HALF_LIFE_MS = 2000;
/** The weight reached after about 300 ms. Below it the mean is scaled down, because the first burst of bytes only fills network buffers. */
const LEAST_WEIGHT = 0.1;
/** The weight reached after about 3 s, when the mean predicts the next minutes well enough. */
const SETTLED_WEIGHT = 0.64;

/**
 * The speed of an upload as an exponential mean of its positions, with a half-life of 2 s. A meter starts at the offset from which the
 * upload resumes, so bytes of an earlier visit do not count. After a wait a new meter is made, so the wait does not count either.
 */
export class SpeedMeter {
  #position: number;
  #atMs: number;
  /** Weighted bytes per millisecond. Divided by the weight so far, so that the mean does not start from zero. */
  #sum = 0;
  #weight = 0;

  constructor(position: number, nowMs: number) {
    this.#position = position;
    this.#atMs = nowMs;
  }

  /** Bytes left this device up to `position`. */
  add(position: number, nowMs: number): void {
    const elapsedMs = nowMs - this.#atMs;
    // Several reports within one clock tick count as one.
    if (elapsedMs <= 0) return;
    const share = 1 - 2 ** (-elapsedMs / HALF_LIFE_MS);
    this.#sum += share * ((position - this.#position) / elapsedMs - this.#sum);
    this.#weight += share * (1 - this.#weight);
    this.#position = position;
    this.#atMs = nowMs;
  }

  /** The position changed although no bytes were sent: back after a failure, or forward to the server's offset. */
  rebase(position: number, nowMs: number): void {
    this.add(this.#position, nowMs);
    this.#position = position;
  }

  /** The mean is reliable enough to estimate the remaining time. */
  get isSettled(): boolean {
    return this.#weight >= SETTLED_WEIGHT;
  }

  /** Decreases while no bytes are added. */
  bytesPerSecond(nowMs: number): number {
    if (this.#weight === 0) return 0;
    const idleMs = Math.max(nowMs - this.#atMs, 0);
    return Math.max((this.#sum / Math.max(this.#weight, LEAST_WEIGHT)) * 2 ** (-idleMs / HALF_LIFE_MS) * 1000, 0);
  }
}
