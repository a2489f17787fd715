// The locks on uploads' bytes where several processes serve one ledger. A request first acquires the lock among the requests of its
// own process, then the lock in the ledger.

import { UploadError } from '../../shared/errors.ts';
import type { Locks } from '../ledger/locks.ts';
import type { Notices } from '../ledger/notices.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { pause } from '../runtime/pause.ts';
import type { Lock, RequestRelease, UploadLocker } from './locker.ts';
import type { ProcessLease } from './process-lease.ts';
import { ALIVE_MS, QueueingLocker } from './queueing-locker.ts';

/** A notice may get lost, and a holder may die. So a waiter asks the ledger again after each of these times, then after the last one. */
const RETRY_MS = [30, 100, 300, 1000];
/** A waiter repeats its notice within this time. */
const WANTED_MS = 3000;

/** After this time an unanswered statement has reached the ledger, or never will: a statement runs for at most 10 s. */
const UNANSWERED_MS = 15_000;
const RETRY_UNANSWERED_MS = 1000;

export interface SharedLockerOptions {
  locks: Locks;
  processLease: ProcessLease;
  notices: Notices;
  timeoutMs: number;
  /** Settles when the inspection that this process is starting has started; the lock is kept until then. Undefined: it starts none. */
  startingInspection(id: UploadId): Promise<unknown> | undefined;
  /**
   * Removes the upload's bytes beyond the proven offset. Called under the lock when a process wrote the upload in another boot and
   * left bytes that are not proven durable.
   */
  returnToProven(id: UploadId): Promise<void>;
  /** Number of stored bytes that a power cut of this machine must not take; 0 if the proven ones are enough. Called under the lock. */
  stored(id: UploadId): Promise<number>;
}

/** A lock of this process in the ledger, held as long as one user is left. */
interface Row {
  readonly id: UploadId;
  readonly holder: string;
  /** True for an upload without a row, which no other process knows: its lock is not in the ledger. */
  readonly isNew?: boolean;
  users: number;
  ending?: Promise<void>;
}

export class SharedLocker implements UploadLocker {
  readonly #options: SharedLockerOptions;
  readonly #local: QueueingLocker;
  readonly #rows = new Map<string, Row>();
  /** The locks that requests hold now, each with the call that asks its request to release it. */
  readonly #holding = new Map<Row, RequestRelease>();
  readonly #wantedUntilMs = new Map<string, number>();
  /** Uploads without a row whose lock the creating request takes next. */
  readonly #new = new Set<string>();

  constructor(options: SharedLockerOptions) {
    this.#options = options;
    this.#local = new QueueingLocker(options.timeoutMs);
    options.notices.on('want', (id) => this.#onWanted(id));
    options.processLease.onLost(() => this.#onLost());
  }

  newLock(id: UploadId): Lock {
    const token = Symbol(id);
    const { timeoutMs } = this.#options;
    let row: Row | undefined;
    return {
      lock: async (signal, requestRelease) => {
        const isNew = this.#new.delete(id);
        const deadlineMs = performance.now() + timeoutMs;
        await this.#local.acquire(id, token, requestRelease, timeoutMs, signal);
        try {
          row = isNew ? this.#enterNew(id) : await this.#enter(id, deadlineMs, signal);
          this.#holding.set(row, requestRelease);
        } catch (error) {
          this.#local.release(id, token);
          throw error;
        }
      },
      unlock: async () => {
        if (row === undefined) return;
        const isKept = this.#options.startingInspection(id) !== undefined;
        const left = this.#leave(row);
        this.#holding.delete(row);
        row = undefined;
        this.#local.release(id, token);
        // The sender's next request may reach another process, so this waits for the release in the ledger: briefly, as it may not answer.
        if (!isKept) await Promise.race([left, pause(500)]);
      },
    };
  }

  expectNew(id: UploadId): void {
    this.#new.add(id);
  }

  async tryWith(id: UploadId, work: () => Promise<void>): Promise<boolean> {
    const isNew = this.#new.delete(id);
    let isDone = false;
    await this.#local.tryWith(id, async () => {
      const row = isNew ? this.#enterNew(id) : await this.#tryEnter(id);
      if (row === undefined) return;
      try {
        await work();
        isDone = true;
      } finally {
        await Promise.race([this.#leave(row), pause(500)]);
      }
    });
    return isDone;
  }

  touch(id: UploadId): void {
    this.#local.touch(id);
  }

  requireHeld(id: UploadId): string {
    const row = this.#rows.get(id);
    if (row === undefined || !this.#options.processLease.isSafe(row.holder)) throw locked();
    return row.holder;
  }

  async quiesce(id: UploadId): Promise<boolean> {
    const isHere = await this.#local.quiesce(id);
    if (this.#rows.has(id) || !(await this.#options.locks.isHeld(id))) return isHere;
    await this.#untilFree(id, ALIVE_MS + 200, undefined);
    return true;
  }

  async isWrittenElsewhere(id: UploadId): Promise<boolean> {
    if (this.#rows.has(id)) return false;
    const boot = await this.#options.locks.boot(id);
    return boot !== undefined && boot !== this.#options.processLease.boot;
  }

  #enterNew(id: UploadId): Row {
    const row: Row = { id, holder: this.#options.processLease.name, isNew: true, users: 1 };
    this.#rows.set(id, row);
    return row;
  }

  async #enter(id: UploadId, deadlineMs: number, signal: AbortSignal): Promise<Row> {
    for (let look = 0; ; look++) {
      const row = await this.#tryEnter(id);
      if (row !== undefined) return row;
      const leftMs = deadlineMs - performance.now();
      if (leftMs <= 0 || signal.aborted) throw locked();
      await this.#untilFree(id, Math.min(RETRY_MS[look] ?? 1000, leftMs), signal);
    }
  }

  /** Call while holding the local lock. */
  async #tryEnter(id: UploadId): Promise<Row | undefined> {
    const { locks, processLease, returnToProven } = this.#options;
    const holder = processLease.name;
    const kept = this.#rows.get(id);
    if (kept !== undefined && kept.ending === undefined && kept.holder === holder) {
      kept.users += 1;
      return kept;
    }
    // The old lock's release is on its way to the ledger, and would release the new lock.
    if (kept?.holder === holder) await Promise.race([kept.ending, pause(500)]);
    if (this.#rows.get(id)?.holder === holder) return undefined;
    const lock = await locks.take(id, holder, processLease.boot).catch((error: unknown) => {
      void this.#releaseUnanswered(id, holder);
      throw error;
    });
    if (lock === undefined) return undefined;
    const row: Row = { id, holder, users: 1 };
    this.#rows.set(id, row);
    if (lock.boot === processLease.boot) return row;
    try {
      await returnToProven(id);
      await locks.settle(id, holder, processLease.boot);
      return row;
    } catch (error) {
      void this.#leave(row);
      throw error;
    }
  }

  /**
   * Releases a lock that the ledger may have given to this process in an answer that was lost. Unreleased, it would block every
   * process as long as this process lives. The statement may also reach the ledger late, so this releases the lock repeatedly.
   */
  async #releaseUnanswered(id: UploadId, holder: string): Promise<void> {
    const { processLease } = this.#options;
    const sinceMs = performance.now();
    for (let isOver = false; !isOver && processLease.has(holder); await pause(RETRY_UNANSWERED_MS)) {
      // Under the local lock, so that no request of this process acquires the lock meanwhile.
      await this.#local
        .tryWith(id, async () => {
          if (!this.#rows.has(id)) await this.#free(id, holder);
          isOver = performance.now() - sinceMs > UNANSWERED_MS;
        })
        .catch(() => undefined);
    }
  }

  /** Ends one use of the lock. After the last one, resolves when the ledger has released the lock. */
  async #leave(row: Row): Promise<void> {
    const { startingInspection } = this.#options;
    // No process may append while the upload is made durable for its inspection.
    await startingInspection(row.id)?.catch(() => undefined);
    row.users -= 1;
    if (row.users > 0 || this.#rows.get(row.id) !== row) return;
    if (row.isNew) {
      this.#rows.delete(row.id);
      return;
    }
    row.ending = this.#release(row);
    await row.ending;
  }

  /** Retries until the ledger has released the lock or this process has lost it: the lock of a living process never expires. */
  async #release(row: Row): Promise<void> {
    const { notices } = this.#options;
    for (;;) {
      try {
        await this.#free(row.id, row.holder);
        break;
      } catch {
        await pause(500);
        if (this.#rows.get(row.id) !== row) return;
      }
    }
    if (this.#rows.get(row.id) === row) this.#rows.delete(row.id);
    if ((this.#wantedUntilMs.get(row.id) ?? 0) > performance.now()) notices.notify('free', row.id);
    this.#wantedUntilMs.delete(row.id);
  }

  /**
   * Tells the ledger how many bytes are stored: a fault, or an unanswered statement, may leave more stored than the ledger's proven
   * offset.
   */
  async #free(id: UploadId, holder: string): Promise<void> {
    const { locks, stored } = this.#options;
    await locks.release(id, holder, await stored(id).catch(() => Number.MAX_SAFE_INTEGER));
  }

  #onWanted(id: UploadId): void {
    if (!this.#rows.has(id)) return;
    this.#wantedUntilMs.set(id, performance.now() + WANTED_MS);
    this.#local.want(id, WANTED_MS);
  }

  #onLost(): void {
    this.#rows.clear();
    for (const requestRelease of this.#holding.values()) void requestRelease();
  }

  /** Resolves when the holder announces the lock's release, after the time, or when the signal aborts. */
  #untilFree(id: UploadId, ms: number, signal: AbortSignal | undefined): Promise<void> {
    const { notices } = this.#options;
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        stop();
        signal?.removeEventListener('abort', done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      const stop = notices.on('free', (freed) => {
        if (freed === id) done();
      });
      signal?.addEventListener('abort', done);
      notices.notify('want', id);
    });
  }
}

function locked(): UploadError {
  return new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 });
}
