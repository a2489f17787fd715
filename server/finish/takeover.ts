// Where several processes serve one ledger, takes over the locks and inspections of dead processes while the others keep serving.
import type { Logger } from 'pino';
import type { Holders } from '../ledger/holders.ts';
import type { Locks } from '../ledger/locks.ts';
import type { TryLock } from '../locking/locker.ts';
import type { RestartRecovery } from './restart-recovery.ts';

/** Uploads looked at in one pass for each dead process. Other processes, and later passes, find the rest. */
const PAGE = 100;
/** A dead process is cleared again after this time: its last statements may reach the ledger late. */
const CLEAR_AGAIN_MS = 60_000;

export interface TakeoverOptions {
  holders: Holders;
  locks: Locks;
  lock: TryLock;
  restartRecovery: Pick<RestartRecovery, 'startInspectionIfComplete'>;
  intervalMs: number;
  log: Logger;
}

export class Takeover {
  readonly #options: TakeoverOptions;
  /** When each dead process was last cleared. */
  readonly #cleared = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #isClosed = false;

  constructor(options: TakeoverOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer = setInterval(() => this.#start(), this.#options.intervalMs);
    this.#timer.unref();
    this.#start();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#timer);
    await this.#running;
  }

  #start(): void {
    this.#running ??= this.#look()
      .catch((error) => this.#options.log.warn({ err: error }, 'fault while taking over the uploads of a dead process'))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #look(): Promise<void> {
    const { holders } = this.#options;
    const dead = await holders.expireSilent();
    const now = performance.now();
    for (const holder of dead) {
      if (now - (this.#cleared.get(holder) ?? Number.NEGATIVE_INFINITY) < CLEAR_AGAIN_MS) continue;
      if (await this.#takeOver(holder)) this.#cleared.set(holder, now);
    }
    for (const holder of this.#cleared.keys()) if (!dead.includes(holder)) this.#cleared.delete(holder);
  }

  /**
   * Takes over the uploads whose locks the dead process held: it may have stored their last byte. Resolves to true when no lock of the
   * dead process is left.
   */
  async #takeOver(holder: string): Promise<boolean> {
    const { holders, locks, lock, restartRecovery } = this.#options;
    const ids = await locks.of(holder, PAGE);
    let taken = 0;
    for (const id of ids) {
      if (this.#isClosed) return false;
      // When another process holds the lock by now, that process starts the inspection.
      if (await lock.tryWith(id, () => restartRecovery.startInspectionIfComplete(id))) taken += 1;
    }
    await holders.clear(holder);
    return ids.length < PAGE && taken === ids.length;
  }
}
