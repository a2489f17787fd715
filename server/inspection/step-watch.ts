// Runs the steps of one inspection, one after another, each while it makes progress and its outcome can be written.

/** A part of the inspection with a time limit. */
export interface Step {
  /** Aborted when the step is ended early. */
  readonly signal: AbortSignal;
  /** Call at each progress of the step. */
  progress(): void;
}

interface RunningStep {
  readonly controller: AbortController;
  /** The error of a step without progress for longer than the limit. */
  stalled(): Error;
  reject(error: unknown): void;
}

/** All steps share one timer and one listener: most steps take less time than setting these up. */
export class StepWatch {
  readonly #limitMs: number;
  readonly #lost: AbortSignal;
  #timer: NodeJS.Timeout | undefined;
  #running: RunningStep | undefined;

  /** @param lost aborted when the outcome cannot be written any more; this ends every step */
  constructor(limitMs: number, lost: AbortSignal) {
    this.#limitMs = limitMs;
    this.#lost = lost;
    lost.addEventListener('abort', this.#onLost);
  }

  /**
   * Runs a step. A step that never returns does not block the inspection.
   * @param stalled the error of a step without progress for the time limit
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
          // After the end of the step, its calls must not count for the next one.
          if (this.#running === running) this.#timer?.refresh();
        };
        // A check without types may return no promise.
        Promise.resolve(work({ signal: controller.signal, progress })).then(resolve, reject);
      });
    } finally {
      this.#running = undefined;
    }
  }

  /** Call after the last step. */
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
