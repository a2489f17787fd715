import { withTimeout } from '../runtime/pause.ts';

/** How long a result is reused: a load balancer asks every second or two, from several places at once. */
const KEEP_MS = 2000;
/** The client that asks for readiness has a time limit, too. */
export const PROBE_LIMIT_MS = 2000;

/** Checks whether a dependency of this process works. Only one check runs at a time. */
export class Probe {
  readonly #check: (signal: AbortSignal) => Promise<unknown>;
  readonly #onChange: (isWell: boolean, error: unknown) => void;
  #running: Promise<boolean> | undefined;
  #isWell: boolean | undefined;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  /**
   * @param check rejects when the dependency does not work; its signal is aborted when nothing waits for the result any more
   * @param onChange called when the dependency first fails, and at each change after that
   */
  constructor(check: (signal: AbortSignal) => Promise<unknown>, onChange: (isWell: boolean, error: unknown) => void) {
    this.#check = check;
    this.#onChange = onChange;
  }

  /** Resolves within `PROBE_LIMIT_MS`; a dependency that has not answered by then counts as failed. */
  async isWell(): Promise<boolean> {
    if (this.#isWell !== undefined && performance.now() - this.#askedAtMs < KEEP_MS) return this.#isWell;
    this.#running ??= this.#ask().finally(() => {
      this.#running = undefined;
    });
    const late = () => new Error(`There was no answer in ${PROBE_LIMIT_MS} ms.`);
    return withTimeout(PROBE_LIMIT_MS, this.#running, late).catch((error) => this.#record(false, error));
  }

  async #ask(): Promise<boolean> {
    try {
      await this.#check(AbortSignal.timeout(PROBE_LIMIT_MS));
      return this.#record(true);
    } catch (error) {
      return this.#record(false, error);
    }
  }

  #record(isWell: boolean, error?: unknown): boolean {
    const before = this.#isWell ?? true;
    this.#isWell = isWell;
    this.#askedAtMs = performance.now();
    if (isWell !== before) this.#onChange(isWell, error);
    return isWell;
  }
}
