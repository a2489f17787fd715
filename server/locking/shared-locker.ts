// The locks on uploads where several processes serve them: first among the requests of this process, then in the ledger.

import { UploadError } from '../../shared/errors.ts';
import type { Locks } from '../ledger/locks.ts';
import type { Notices } from '../ledger/notices.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import { pause } from '../runtime/pause.ts';
import type { Lock, RequestRelease, UploadLocker } from './locker.ts';
import type { ProcessLease } from './process-lease.ts';
import { ALIVE_MS, QueueingLocker } from './queueing-locker.ts';

/** A notice may get lost, and a holder die: whoever waits looks again after these, and then after the last of them each time. */
const LOOK_AGAIN_MS = [30, 100, 300, 1000];
/** Who waits for a lock says so again within this time. */
const WANTED_MS = 3000;

/** What was sent to the ledger, and not answered, has come there after so long, or never will: a statement has 10 s. */
const UNHEARD_MS = 15_000;
const LOOK_AGAIN_UNHEARD_MS = 1000;

export interface SharedLockerOptions {
  locks: Locks;
  processLease: ProcessLease;
  notices: Notices;
  timeoutMs: number;
  /** Settles when an inspection that is about to begin has begun; undefined when there is none. The lock is kept until then. */
  startingInspection(id: UploadId): Promise<unknown> | undefined;
  /** The upload was written in another boot by someone who left it unproved: only what is proved may stay. Under the lock. */
  returnToProven(id: UploadId): Promise<void>;
  /** Bytes that are stored and that a power cut of this machine may take, where that was promised not to happen. Under the lock. */
  stored(id: UploadId): Promise<number>;
}

/** A row of this process in the ledger, held as long as one user is left. */
interface Row {
  readonly id: UploadId;
  readonly holder: string;
  /** Of an upload that no other process knows: the ledger has no lock for it. */
  readonly isNew?: boolean;
  users: number;
  ending?: Promise<void>;
}

export class SharedLocker implements UploadLocker {
  readonly #options: SharedLockerOptions;
  readonly #local: QueueingLocker;
  readonly #rows = new Map<string, Row>();
  /** Those whose requests hold a lock now, and how to have them let go. */
  readonly #holding = new Map<Row, RequestRelease>();
  readonly #wantedUntilMs = new Map<string, number>();
  /** Uploads without a row, whose lock is about to be taken. */
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
        // The sender's next request may come to another process. Not for ever: the ledger may be away.
        if (!isKept) await Promise.race([left, pause(500)]);
      },
    };
  }

  expectNew(id: UploadId): void {
    this.#new.add(id);
  }

  async tryWith(id: UploadId, work: () => Promise<void>): Promise<boolean> {
    let isDone = false;
    await this.#local.tryWith(id, async () => {
      const row = await this.#tryEnter(id);
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
      await this.#untilFree(id, Math.min(LOOK_AGAIN_MS[look] ?? 1000, leftMs), signal);
    }
  }

  /** To be called with the lock among this process's own requests. */
  async #tryEnter(id: UploadId): Promise<Row | undefined> {
    const { locks, processLease, returnToProven } = this.#options;
    const holder = processLease.name;
    const kept = this.#rows.get(id);
    if (kept !== undefined && kept.ending === undefined && kept.holder === holder) {
      kept.users += 1;
      return kept;
    }
    // Its release is on its way, and would take the new lock for the old one.
    if (kept?.holder === holder) await Promise.race([kept.ending, pause(500)]);
    if (this.#rows.get(id)?.holder === holder) return undefined;
    const taken = await locks.take(id, holder, processLease.boot).catch((error: unknown) => {
      void this.#giveBack(id, holder);
      throw error;
    });
    if (taken === undefined) return undefined;
    const row: Row = { id, holder, users: 1 };
    this.#rows.set(id, row);
    if (taken.boot === processLease.boot) return row;
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
   * A lock that was taken without our hearing of it would be free to nobody for as long as this process lives. It may still be
   * on its way into the ledger, too.
   */
  async #giveBack(id: UploadId, holder: string): Promise<void> {
    const { processLease } = this.#options;
    const sinceMs = performance.now();
    for (let isOver = false; !isOver && processLease.has(holder); await pause(LOOK_AGAIN_UNHEARD_MS)) {
      // Nobody here takes it meanwhile.
      await this.#local
        .tryWith(id, async () => {
          if (!this.#rows.has(id)) await this.#free(id, holder);
          isOver = performance.now() - sinceMs > UNHEARD_MS;
        })
        .catch(() => undefined);
    }
  }

  /** Resolves when the ledger knows that the lock is free, where this was its last user. */
  async #leave(row: Row): Promise<void> {
    const { startingInspection } = this.#options;
    // Nobody may append to what is being made durable.
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

  /** Until it is done: a lock of a process that lives is not free by itself. Or until it is not ours any more. */
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
    if ((this.#wantedUntilMs.get(row.id) ?? 0) > performance.now()) notices.tell('free', row.id);
    this.#wantedUntilMs.delete(row.id);
  }

  /** However the work under it ended: a fault, or an end that was not heard of, may have left more stored than is proved. */
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

  /** Until the holder says that it let go, or the time is over, or nobody waits any more. */
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
      notices.tell('want', id);
    });
  }
}

function locked(): UploadError {
  return new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 });
}
