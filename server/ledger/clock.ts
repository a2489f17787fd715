import type { Engine } from './engine.ts';

/** How often a process writes the time to the ledger by default. */
const EVERY_MS = 60_000;

/**
 * The ledger's own time, by which every deadline is set and compared. It advances only while a server runs, by that server's
 * monotonic clock. So setting the wall clock changes no deadline, and no upload expires over a weekend on which the server was off.
 *
 * It counts milliseconds and equals the wall clock when the ledger is created. Each process advances its own copy and writes it to
 * the ledger. Where several processes serve one ledger, each catches up with the one that is furthest ahead.
 */
export class LedgerClock {
  readonly #engine: Engine;
  #everyMs = EVERY_MS;
  #at: number | undefined;
  #readMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #beating: Promise<void> | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Never goes back within one process. After a crash it continues from the last heartbeat, so at most one interval is lost. */
  now(): number {
    if (this.#at === undefined) throw new Error('The clock of the ledger was read before its migration.');
    // A process that was suspended, or cannot reach the ledger, serves no one: that time does not count.
    return this.#at + Math.min(Math.floor(performance.now() - this.#readMs), 2 * this.#everyMs);
  }

  /** Sets the clock to the ledger's stored time. */
  async read(): Promise<void> {
    const { at } = await this.#engine.db.selectFrom('clock').select('at').executeTakeFirstOrThrow();
    this.#set(at);
  }

  /** Writes this process's time to the ledger and catches up with the process that is furthest ahead. One call runs at a time. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  /** Starts the heartbeats. */
  start(everyMs: number, onFault: (error: unknown) => void): void {
    this.#everyMs = everyMs;
    this.#timer = setInterval(() => this.beat().catch(onFault), everyMs);
    this.#timer.unref();
  }

  /** Stops the heartbeats after a last one. Never rejects. */
  async close(): Promise<void> {
    if (this.#timer === undefined) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    await this.beat().catch(() => undefined);
  }

  async #beat(): Promise<void> {
    const mine = this.now();
    const { at } = await this.#engine.db
      .updateTable('clock')
      .set((row) => ({ at: row.case().when('at', '<', mine).then(row.val(mine)).else(row.ref('at')).end() }))
      .returning('at')
      .executeTakeFirstOrThrow();
    this.#set(at);
  }

  #set(at: number): void {
    // The time that the statement took counts, too.
    this.#at = Math.max(at, this.#at === undefined ? at : this.now());
    this.#readMs = performance.now();
  }
}
