// The locks on uploads' bytes within one process: one request at a time, in the order of their arrival, without polling.
import { UploadError } from '../../shared/errors.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Lock, RequestRelease, UploadLocker } from './locker.ts';

/** A holder that received a byte within this time keeps its lock. A holder that did not is asked to release it. */
export const ALIVE_MS = 1000;

interface Holder {
  token: symbol;
  lastActivityMs: number;
  requestRelease: RequestRelease;
}

/** The lock of one request. */
class QueuedLock implements Lock {
  readonly #locker: QueueingLocker;
  readonly #id: UploadId;
  readonly #token: symbol = Symbol();
  readonly #timeoutMs: number;

  constructor(locker: QueueingLocker, id: UploadId, timeoutMs: number) {
    this.#locker = locker;
    this.#id = id;
    this.#timeoutMs = timeoutMs;
  }

  lock(signal: AbortSignal, requestRelease: RequestRelease): Promise<void> {
    return this.#locker.acquire(this.#id, this.#token, requestRelease, this.#timeoutMs, signal);
  }

  async unlock(): Promise<void> {
    this.#locker.release(this.#id, this.#token);
  }
}

interface Waiter {
  grant(): void;
}

interface Queue {
  holder: Holder;
  waiters: Waiter[];
  eviction: NodeJS.Timeout | undefined;
  /** Until this time, a request in another process is taken to wait for the lock. */
  wantedUntilMs: number;
}

/**
 * Only the holder releases a lock, after its last write returned. A waiter can only ask a silent holder (whose client's connection
 * is probably dead) to release it.
 */
export class QueueingLocker implements UploadLocker {
  readonly #queues = new Map<string, Queue>();
  readonly #timeoutMs: number;

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  newLock(id: UploadId): Lock {
    return new QueuedLock(this, id, this.#timeoutMs);
  }

  /** No lock is kept in the ledger. */
  expectNew(): void {}

  /** @throws UploadError ERR_UPLOAD_LOCKED (423) when the holder keeps the lock beyond the time limit */
  async acquire(id: UploadId, token: symbol, requestRelease: RequestRelease, timeoutMs: number, signal?: AbortSignal): Promise<void> {
    const holder: Holder = { token, lastActivityMs: performance.now(), requestRelease };
    const queue = this.#queues.get(id);
    if (queue === undefined) {
      this.#queues.set(id, { holder, waiters: [], eviction: undefined, wantedUntilMs: 0 });
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const waiter: Waiter = {
        grant: () => {
          stopWaiting();
          holder.lastActivityMs = performance.now();
          queue.holder = holder;
          resolve();
        },
      };
      const giveUp = () => {
        queue.waiters.splice(queue.waiters.indexOf(waiter), 1);
        stopWaiting();
        reject(new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 }));
      };
      const timer = setTimeout(giveUp, timeoutMs);
      const stopWaiting = () => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', giveUp);
      };
      signal?.addEventListener('abort', giveUp);
      queue.waiters.push(waiter);
      this.#watch(queue);
    });
  }

  /** Does nothing when the token is not the holder's. */
  release(id: UploadId, token: symbol): void {
    const queue = this.#queues.get(id);
    if (queue?.holder.token !== token) return;
    clearTimeout(queue.eviction);
    queue.eviction = undefined;
    const next = queue.waiters.shift();
    if (next === undefined) {
      this.#queues.delete(id);
      return;
    }
    next.grant();
    this.#watch(queue);
  }

  async tryWith(id: UploadId, work: () => Promise<void>): Promise<boolean> {
    if (this.#queues.has(id)) return false;
    const token = Symbol(id);
    await this.acquire(id, token, () => undefined, 0);
    try {
      await work();
    } finally {
      this.release(id, token);
    }
    return true;
  }

  touch(id: UploadId): void {
    const queue = this.#queues.get(id);
    if (queue) queue.holder.lastActivityMs = performance.now();
  }

  /** Within one process, no lock is ever lost. */
  requireHeld(): undefined {}

  async isWrittenElsewhere(): Promise<boolean> {
    return false;
  }

  /** Records that a request in another process waits for the lock, for this long. */
  want(id: UploadId, ms: number): void {
    const queue = this.#queues.get(id);
    if (queue === undefined) return;
    queue.wantedUntilMs = performance.now() + ms;
    this.#watch(queue);
  }

  async quiesce(id: UploadId): Promise<boolean> {
    const token = Symbol(id);
    const queue = this.#queues.get(id);
    if (queue === undefined) return false;
    const sinceActivityMs = performance.now() - queue.holder.lastActivityMs;
    const noRelease = () => undefined;
    await this.acquire(id, token, noRelease, Math.max(ALIVE_MS - sinceActivityMs, 0) + 200).catch(() => undefined);
    this.release(id, token);
    return true;
  }

  /** Asks the holder to release the lock once the holder has received no byte for `ALIVE_MS`. */
  #watch(queue: Queue): void {
    if (queue.eviction !== undefined || !isWanted(queue)) return;
    const { holder } = queue;
    const look = () => {
      queue.eviction = undefined;
      if (queue.holder !== holder || !isWanted(queue)) return;
      const silentMs = performance.now() - holder.lastActivityMs;
      if (silentMs >= ALIVE_MS) void holder.requestRelease();
      else queue.eviction = setTimeout(look, ALIVE_MS - silentMs);
    };
    look();
  }
}

function isWanted(queue: Queue): boolean {
  return queue.waiters.length > 0 || queue.wantedUntilMs > performance.now();
}
