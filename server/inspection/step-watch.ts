// Runs the steps of one inspection, one after another, each while it makes progress and its outcome can be written.

/** A part of the inspection with a time limit. */
export interface Step {
  /** Aborted when the step is ended early. */
  readonly signal: AbortSignal;
  /** Call at each progress of the step. */
  progress(): void;
}

/** Most steps never ask for their signal. */
class RunningStep implements Step {
  readonly progress: () => void;
  /** The error of a step without progress for longer than the limit. */
  readonly stalled: () => Error;
  readonly #reject: (error: unknown) => void;
  #controller: AbortController | undefined;
  #failure: { error: unknown } | undefined;

  constructor(progress: (step: RunningStep) => void, stalled: () => Error, reject: (error: unknown) => void) {
    this.progress = () => progress(this);
    this.stalled = stalled;
    this.#reject = reject;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#failure !== undefined) this.#controller.abort(this.#failure.error);
    return this.#controller.signal;
  }

  fail(error: unknown): void {
    this.#failure = { error };
    this.#controller?.abort(error);
    this.#reject(error);
  }
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
    try {
      return await new Promise<T>((resolve, reject) => {
        const running = new RunningStep(this.#onProgress, stalled, reject);
        this.#running = running;
        if (this.#timer === undefined) this.#timer = setTimeout(this.#onSilence, this.#limitMs);
        else this.#timer.refresh();
        // A check without types may return no promise.
        Promise.resolve(work(running)).then(resolve, reject);
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

  readonly #onProgress = (step: RunningStep): void => {
    // After the end of the step, its calls must not count for the next one.
    if (this.#running === step) this.#timer?.refresh();
  };
  readonly #onLost = (): void => this.#fail(this.#lost.reason);
  readonly #onSilence = (): void => this.#fail(this.#running?.stalled());

  #fail(error: unknown): void {
    const running = this.#running;
    this.#running = undefined;
    running?.fail(error);
  }
}
