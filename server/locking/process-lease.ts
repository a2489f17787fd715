// How long this process may write what it holds. The ledger knows the process by one row, renewed well before its time is
// over; everything the process holds ends with it.

import { randomBytes } from 'node:crypto';
import { uptime } from 'node:os';
import type { Logger } from 'pino';
import { UploadError } from '../../shared/errors.ts';
import type { Holders } from '../ledger/holders.ts';
import { pause } from '../runtime/pause.ts';

export interface ProcessLeaseOptions {
  holders: Holders;
  /** Others may take over what a process holds when it was silent for so long. */
  leaseMs: number;
  /** Of this machine. */
  boot: string;
  log: Logger;
}

/** A write begins only while this part of the lease is left: it has so long to return before others may write. */
const MARGIN = 1 / 5;

export class ProcessLease {
  readonly isAlone = false;
  readonly boot: string;
  readonly #options: ProcessLeaseOptions;
  readonly #closing = new AbortController();
  readonly #listeners: (() => void)[] = [];
  #epoch = 0;
  #name: string | undefined;
  /** One that was lost, which the ledger may not know yet. */
  #former: string | undefined;
  #since = readClocks();
  #lost = new AbortController();
  #expiry: NodeJS.Timeout | undefined;
  #keeping: Promise<void> = Promise.resolve();

  constructor(options: ProcessLeaseOptions) {
    this.#options = options;
    this.boot = options.boot;
  }

  /** @throws when the ledger can't be reached */
  async start(): Promise<void> {
    await this.#enter();
    this.#keeping = this.#keep();
  }

  /** What it holds, others may take at once. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#keeping;
    const name = this.#name;
    this.#end();
    if (name !== undefined) await this.#options.holders.leave(name).catch((error) => this.#warn(error));
  }

  /**
   * The name it holds things under: process id, boot, chance and epoch, never used again once it was lost.
   * @throws UploadError 503 while the ledger has been away for longer than the lease
   */
  get name(): string {
    if (this.#name === undefined) throw new UploadError('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 2 });
    return this.#name;
  }

  /** Aborted when the present name's time is over. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Calls back each time a name's time is over. */
  onLost(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Whether this is the name it holds things under now. */
  has(name: string): boolean {
    return this.#name === name;
  }

  /** To be asked right before each write under what `name` holds. */
  isSafe(name: string): boolean {
    return this.#name === name && this.#remainingMs() > this.#options.leaseMs * MARGIN;
  }

  async #enter(): Promise<void> {
    if (this.#former !== undefined) await this.#options.holders.leave(this.#former);
    this.#former = undefined;
    this.#epoch += 1;
    const name = `${process.pid}-${this.boot.slice(0, 8)}-${randomBytes(8).toString('hex')}-${this.#epoch}`;
    const since = readClocks();
    await this.#options.holders.enter(name, this.#options.leaseMs);
    this.#lost = new AbortController();
    this.#name = name;
    this.#extend(since);
  }

  async #keep(): Promise<void> {
    const { holders, leaseMs } = this.#options;
    let waitMs = leaseMs / 3;
    while (await pause(waitMs, this.#closing.signal)) {
      // From before the request on: others count from when the ledger got it.
      const since = readClocks();
      const name = this.#name;
      try {
        if (name === undefined) await this.#enter();
        else if (!(await holders.renew(name, leaseMs))) this.#end();
        else if (this.#name === name) this.#extend(since);
        waitMs = this.#name === undefined ? 0 : leaseMs / 3;
      } catch (error) {
        this.#warn(error);
        waitMs = Math.min(leaseMs / 10, 1000);
      }
    }
  }

  #extend(since: Clocks): void {
    this.#since = since;
    clearTimeout(this.#expiry);
    // Woken from a long stop it fires at once, but `isSafe` may be asked before that.
    this.#expiry = setTimeout(() => this.#end(), Math.max(this.#remainingMs(), 0));
    this.#expiry.unref();
  }

  #end(): void {
    if (this.#name === undefined) return;
    clearTimeout(this.#expiry);
    this.#former = this.#name;
    this.#name = undefined;
    this.#lost.abort(new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 }));
    for (const listener of this.#listeners) listener();
    if (!this.#closing.signal.aborted) this.#options.log.warn('the lease on the ledger ran out: others take over what this process held');
  }

  /** By whichever clock has gone further: one stands still while the machine sleeps, the other counts in coarser steps. */
  #remainingMs(): number {
    const now = readClocks();
    return this.#options.leaseMs - Math.max(now.steadyMs - this.#since.steadyMs, now.bootMs - this.#since.bootMs);
  }

  #warn(error: unknown): void {
    this.#options.log.warn({ err: error }, 'the ledger does not answer');
  }
}

interface Clocks {
  steadyMs: number;
  /** Since the machine was started, sleep included. The wall's clock is none to go by: it may be set. */
  bootMs: number;
}

function readClocks(): Clocks {
  return { steadyMs: performance.now(), bootMs: uptime() * 1000 };
}
