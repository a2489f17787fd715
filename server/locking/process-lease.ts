// The lease of this process: the time in which it may write to the uploads whose locks it holds. The ledger has one row for the
// process, renewed well before it expires. When it expires, every lock and inspection lease of the process ends with it.

import { randomBytes } from 'node:crypto';
import { uptime } from 'node:os';
import type { Logger } from 'pino';
import { UploadError } from '../../shared/errors.ts';
import type { Holders } from '../ledger/holders.ts';
import { pause } from '../runtime/pause.ts';

export interface ProcessLeaseOptions {
  holders: Holders;
  /** Other processes may take over the locks of a process that did not renew its lease for this long. */
  leaseMs: number;
  /** Boot id of this machine. */
  boot: string;
  log: Logger;
}

/** A write may start only while this share of the lease is left, so that it ends before another process may write. */
const WRITE_MARGIN = 1 / 5;

export class ProcessLease {
  readonly isAlone = false;
  readonly boot: string;
  readonly #options: ProcessLeaseOptions;
  readonly #closing = new AbortController();
  readonly #listeners: (() => void)[] = [];
  #epoch = 0;
  #name: string | undefined;
  /** A lost name whose row may still count as alive in the ledger. */
  #lostName: string | undefined;
  #renewedAt = readClocks();
  #lost = new AbortController();
  #expiry: NodeJS.Timeout | undefined;
  #renewals: Promise<void> = Promise.resolve();

  constructor(options: ProcessLeaseOptions) {
    this.#options = options;
    this.boot = options.boot;
  }

  /** @throws when the ledger can't be reached */
  async start(): Promise<void> {
    await this.#register();
    this.#renewals = this.#renewUntilClosed();
  }

  /** Other processes may take over the locks of this process at once. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.#renewals;
    const name = this.#name;
    this.#expire();
    if (name !== undefined) await this.#options.holders.markDead(name).catch((error) => this.#warn(error));
  }

  /**
   * The name under which this process holds locks and inspection leases: process id, boot, random digits and epoch. A lost name
   * is never used again.
   * @throws UploadError 503 when the ledger has not answered for longer than the lease
   */
  get name(): string {
    if (this.#name === undefined) throw new UploadError('ERR_STORAGE_UNAVAILABLE', { retryAfterSeconds: 2 });
    return this.#name;
  }

  /** Aborted when the lease of the present name is lost. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Calls back each time the lease is lost. */
  onLost(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** True for the present name of this process. */
  has(name: string): boolean {
    return this.#name === name;
  }

  /** Call right before each write under a lock that `name` holds: true when enough of the lease is left for the write. */
  isSafe(name: string): boolean {
    return this.#name === name && this.#remainingMs() > this.#options.leaseMs * WRITE_MARGIN;
  }

  async #register(): Promise<void> {
    if (this.#lostName !== undefined) await this.#options.holders.markDead(this.#lostName);
    this.#lostName = undefined;
    this.#epoch += 1;
    const name = `${process.pid}-${this.boot.slice(0, 8)}-${randomBytes(8).toString('hex')}-${this.#epoch}`;
    const askedAt = readClocks();
    await this.#options.holders.register(name, this.#options.leaseMs);
    this.#lost = new AbortController();
    this.#name = name;
    this.#extend(askedAt);
  }

  async #renewUntilClosed(): Promise<void> {
    const { holders, leaseMs } = this.#options;
    let waitMs = leaseMs / 3;
    while (await pause(waitMs, this.#closing.signal)) {
      // This process counts the lease from before the request; other processes count it from the ledger's later receipt.
      const askedAt = readClocks();
      const name = this.#name;
      try {
        if (name === undefined) await this.#register();
        else if (!(await holders.renew(name, leaseMs))) this.#expire();
        else if (this.#name === name) this.#extend(askedAt);
        waitMs = this.#name === undefined ? 0 : leaseMs / 3;
      } catch (error) {
        this.#warn(error);
        waitMs = Math.min(leaseMs / 10, 1000);
      }
    }
  }

  #extend(renewedAt: Clocks): void {
    this.#renewedAt = renewedAt;
    clearTimeout(this.#expiry);
    // After a long suspension the timer fires at once, but a caller may ask `isSafe` before it fires.
    this.#expiry = setTimeout(() => this.#expire(), Math.max(this.#remainingMs(), 0));
    this.#expiry.unref();
  }

  #expire(): void {
    if (this.#name === undefined) return;
    clearTimeout(this.#expiry);
    this.#lostName = this.#name;
    this.#name = undefined;
    this.#lost.abort(new UploadError('ERR_UPLOAD_LOCKED', { retryAfterSeconds: 1 }));
    for (const listener of this.#listeners) listener();
    if (this.#closing.signal.aborted) return;
    this.#options.log.warn('the lease of this process ran out: other processes take over its uploads and inspections');
  }

  /** Counts by the clock that advanced further: the steady clock stops while the machine sleeps, the boot clock has coarser steps. */
  #remainingMs(): number {
    const now = readClocks();
    return this.#options.leaseMs - Math.max(now.steadyMs - this.#renewedAt.steadyMs, now.bootMs - this.#renewedAt.bootMs);
  }

  #warn(error: unknown): void {
    this.#options.log.warn({ err: error }, 'the ledger does not answer');
  }
}

interface Clocks {
  steadyMs: number;
  /** Time since the machine was started, sleep included. The wall clock is of no use here: it may be set. */
  bootMs: number;
}

function readClocks(): Clocks {
  return { steadyMs: performance.now(), bootMs: uptime() * 1000 };
}
