import { UploadError } from '../../shared/errors.ts';
import { pause, within } from '../runtime/pause.ts';
import type { Engine } from './engine.ts';
import type { UploadId } from './upload-id.ts';

/** So long, and then a fault is answered: who asks has a time limit, too. */
const DURABLE_WAIT_MS = 5000;

/** A change was made and is not durable yet: nobody may be told of it. The ledger goes on trying. */
export class NotDurable<T = unknown> extends UploadError {
  /** Settles when the change is durable, or was taken back; what hangs on it can be done then. */
  readonly later: Promise<T>;

  constructor(later: Promise<T>) {
    super('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 5, cause: new Error('The ledger can not be made durable.') });
    this.later = later;
  }
}

/** Makes changes that no crash takes back, and knows which are not that far yet. */
export class DurableChanges {
  readonly #engine: Engine;
  readonly #undurable = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** What can't be made durable is no longer tried. */
  close(): void {
    this.#closing.abort();
  }

  /** Settles when what was changed of this upload is durable; undefined: all of it is. @throws NotDurable when it is still not after a while */
  pending(id: UploadId): Promise<void> | undefined {
    const undurable = this.#undurable.get(id);
    return undurable && waitBriefly(undurable);
  }

  /** Runs a change and, when it happened, makes it durable; until then `pending` of the same upload waits. */
  durably<T>(id: UploadId, change: () => Promise<T>): Promise<T> {
    const done = this.kept(change, true);
    const before = this.#undurable.get(id);
    const forget = () => {
      if (this.#undurable.get(id) === settled) this.#undurable.delete(id);
    };
    const settled: Promise<void> = (before === undefined ? done : Promise.allSettled([before, done])).then(forget, forget);
    this.#undurable.set(id, settled);
    return done;
  }

  /**
   * As `durably`, for a request: its sender waits only so long for the disk, and the upload's lock with it. The change is made by
   * then, so that no later one of this upload comes before it; until it is durable `pending` keeps everybody from it.
   *
   * @param act what goes with the change, however late that is durable
   * @throws NotDurable
   */
  async soon<T, R = T>(
    id: UploadId,
    change: () => Promise<T>,
    act: (durable: Promise<T>) => Promise<R> = (durable) => durable as unknown as Promise<R>,
  ): Promise<R> {
    const { promise: made, resolve } = Promise.withResolvers<void>();
    const done = act(this.durably(id, () => change().finally(resolve)));
    done.catch(() => undefined);
    // A statement that is on its way has a time limit of its own, and must not come when another has the lock.
    await made;
    return waitBriefly(done);
  }

  /**
   * Runs a change and resolves when it will not be lost any more: by a crash, or with `durable` by a power cut. A disk that
   * fails is tried again for as long as it takes, since the change is made and can't be told of before.
   * @throws when the change was, or may have been, taken back
   */
  async kept<T>(change: () => Promise<T>, durable: boolean): Promise<T> {
    const engine = this.#engine;
    const { rollbacks } = engine;
    const result = await change();
    for (let waitMs = 100; result; waitMs = Math.min(waitMs * 2, 5000)) {
      try {
        await (durable ? engine.flush() : engine.committed());
        break;
      } catch (error) {
        if (engine.rollbacks !== rollbacks || !(await pause(waitMs, this.#closing.signal, true))) throw error;
      }
    }
    if (engine.rollbacks !== rollbacks) throw new Error('The ledger took back what was written.');
    return result;
  }
}

/** @throws NotDurable */
function waitBriefly<T>(durable: Promise<T>): Promise<T> {
  return within(DURABLE_WAIT_MS, durable, () => new NotDurable(durable));
}
