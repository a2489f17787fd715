import { UploadError } from '../../shared/errors.ts';
import { pause, withTimeout } from '../runtime/pause.ts';
import type { Engine } from './engine.ts';
import type { UploadId } from './upload-id.ts';

/** A request waits this long for its change to be durable, and is then answered 503: senders have time limits, too. */
const DURABLE_WAIT_MS = 5000;

/** A change was made and is not durable yet, so no response may depend on it. The ledger keeps trying to make it durable. */
export class NotDurable<T = unknown> extends UploadError {
  /** Resolves when the change is durable; rejects when it was rolled back. */
  readonly later: Promise<T>;

  constructor(later: Promise<T>) {
    super('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 5, cause: new Error('The ledger was not durable in time.') });
    this.later = later;
  }
}

/** Makes changes durable, and knows which changes are not durable yet. */
export class DurableChanges {
  readonly #engine: Engine;
  readonly #undurable = new Map<string, Promise<void>>();
  readonly #closing = new AbortController();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Stops retrying. */
  close(): void {
    this.#closing.abort();
  }

  /** Settles when all changes of this upload are durable; undefined when they already are. @throws NotDurable after the time limit */
  pending(id: UploadId): Promise<void> | undefined {
    const undurable = this.#undurable.get(id);
    return undurable && waitBriefly(undurable);
  }

  /** Runs a change and makes it durable. Until then, `pending` of the same upload waits. */
  durably<T>(id: UploadId, change: () => Promise<T>): Promise<T> {
    const done = this.persist(change, true);
    const before = this.#undurable.get(id);
    const forget = () => {
      if (this.#undurable.get(id) === settled) this.#undurable.delete(id);
    };
    const settled: Promise<void> = (before === undefined ? done : Promise.allSettled([before, done])).then(forget, forget);
    this.#undurable.set(id, settled);
    return done;
  }

  /**
   * Like `durably`, with a time limit for the disk, because a sender waits and the upload's lock is held. When the limit is reached, the
   * statement itself has ended, so later changes of this upload follow it. Until the change is durable, `pending` makes readers wait.
   *
   * @param act runs once the change is durable, also after the time limit
   * @throws NotDurable
   */
  async durablyForRequest<T, R = T>(
    id: UploadId,
    change: () => Promise<T>,
    act: (durable: Promise<T>) => Promise<R> = (durable) => durable as unknown as Promise<R>,
  ): Promise<R> {
    const { promise: made, resolve } = Promise.withResolvers<void>();
    const done = act(this.durably(id, () => change().finally(resolve)));
    done.catch(() => undefined);
    // Waits for the statement, which has its own time limit: it must not reach the ledger after another process took the upload's lock.
    await made;
    return waitBriefly(done);
  }

  /**
   * Runs a change. Resolves when no crash can undo the change; with `durable`, when no power cut can. When the disk fails, this retries
   * without limit: the change is already made, but no response may depend on it yet.
   * @throws when the change was, or may have been, rolled back
   */
  async persist<T>(change: () => Promise<T>, durable: boolean): Promise<T> {
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
    if (engine.rollbacks !== rollbacks) throw new Error('The ledger rolled the change back.');
    return result;
  }
}

/** @throws NotDurable */
function waitBriefly<T>(durable: Promise<T>): Promise<T> {
  return withTimeout(DURABLE_WAIT_MS, durable, () => new NotDurable(durable));
}
