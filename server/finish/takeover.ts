// Where several processes serve one ledger: takes up what a dead one left, while the others go on.
import type { Logger } from 'pino';
import type { Holders } from '../ledger/holders.ts';
import type { Locks } from '../ledger/locks.ts';
import type { TryLock } from '../locking/locker.ts';
import type { RestartRecovery } from './restart-recovery.ts';

/** Looked at in one pass: the others of many processes find the rest. */
const PAGE = 100;
/** What a dead process still had on its way may have come into the ledger after it was cleared. */
const LOOK_AGAIN_MS = 60_000;

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
  /** The dead whose things are cleared, and when. */
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
      .catch((error) => this.#options.log.warn({ err: error }, 'fault while taking up what another process left'))
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #look(): Promise<void> {
    const { holders } = this.#options;
    const dead = await holders.expireSilent();
    const now = performance.now();
    for (const holder of dead) {
      if (now - (this.#cleared.get(holder) ?? Number.NEGATIVE_INFINITY) < LOOK_AGAIN_MS) continue;
      if (await this.#takeUp(holder)) this.#cleared.set(holder, now);
    }
    for (const holder of this.#cleared.keys()) if (!dead.includes(holder)) this.#cleared.delete(holder);
  }

  /**
   * Whoever holds an upload's lock when he dies may have stored its last byte: so these are looked at, and no others. Resolves
   * with whether nothing of it is left.
   */
  async #takeUp(holder: string): Promise<boolean> {
    const { holders, locks, lock, restartRecovery } = this.#options;
    const ids = await locks.of(holder, PAGE);
    let taken = 0;
    for (const id of ids) {
      if (this.#isClosed) return false;
      // Somebody else may have it by now, who sees for himself.
      if (await lock.tryWith(id, () => restartRecovery.startInspectionIfComplete(id))) taken += 1;
    }
    await holders.clear(holder);
    return ids.length < PAGE && taken === ids.length;
  }
}
