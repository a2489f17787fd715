// The steps of one inspection, one after another, each watched: it goes on for as long as it gets on and its outcome can be written.

/** A part of the inspection that is watched. */
export interface Step {
  /** Aborted when the step is over before its end. */
  readonly signal: AbortSignal;
  /** To be called whenever the step got on. */
  progress(): void;
}

interface RunningStep {
  readonly controller: AbortController;
  /** What it fails with that is silent for longer than the limit. */
  stalled(): Error;
  reject(error: unknown): void;
}

/** One timer and one listener for all steps: most of them take less time than it took to set these up for each. */
export class StepWatch {
  readonly #limitMs: number;
  readonly #lost: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #running: RunningStep | undefined;

  /** @param lost aborted when the outcome can't be written any more: then every step ends */
  constructor(limitMs: number, lost: AbortSignal) {
    this.#limitMs = limitMs;
    this.#lost = lost;
    lost.addEventListener('abort', this.#onLost);
  }

  /**
   * Runs a step. One that never returns holds up nobody.
   * @param stalled what it fails with when it told of no progress for the time limit
   * @throws the reason of `lost`
   */
  async run<T>(stalled: () => Error, work: (step: Step) => Promise<T>): Promise<T> {
    this.#lost.throwIfAborted();
    const controller = new AbortController();
    try {
      return await new Promise<T>((resolve, reject) => {
        const running: RunningStep = { controller, stalled, reject };
        this.#running = running;
        if (this.#timer === undefined) this.#timer = setTimeout(this.#onSilence, this.#limitMs);
        else this.#timer.refresh();
        const progress = () => {
          // Once it is over it speaks for no other.
          if (this.#running === running) this.#timer?.refresh();
        };
        // Checks may be written without types.
        Promise.resolve(work({ signal: controller.signal, progress })).then(resolve, reject);
      });
    } finally {
      this.#running = undefined;
    }
  }

  /** To be called when there are no more. */
  end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#lost.removeEventListener('abort', this.#onLost);
  }

  readonly #onLost = (): void => this.#fail(this.#lost.reason);
  readonly #onSilence = (): void => this.#fail(this.#running?.stalled());

  #fail(error: unknown): void {
    const running = this.#running;
    this.#running = undefined;
    running?.controller.abort(error);
    running?.reject(error);
  }
}
