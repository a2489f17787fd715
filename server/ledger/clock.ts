import type { Engine } from './engine.ts';

/** How often a process writes down the time, where it is not told otherwise. */
const EVERY_MS = 60_000;

/**
 * The ledger's own time, by which every deadline is written and compared: it goes on only while a server runs, by that server's
 * steady clock, and stands still while none does. A wall's clock that is set forward or back moves nothing, and an upload does
 * not expire over a weekend on which nobody could have sent to it.
 *
 * In milliseconds, as the wall's: the two agree on the day the ledger is made. Each process counts for itself and writes down
 * how far it came; where several serve one ledger, those that are behind go on from where the furthest is.
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

  /** Never goes back in one process. After a crash it is where the last heartbeat was, so at most that much is not counted. */
  now(): number {
    if (this.#at === undefined) throw new Error('The clock of a ledger can be read once its tables are up to date.');
    // A process that was stopped, or whose ledger is away, serves nobody.
    return this.#at + Math.min(Math.floor(performance.now() - this.#readMs), 2 * this.#everyMs);
  }

  /** Sets the clock by what the ledger has. */
  async read(): Promise<void> {
    const { at } = await this.#engine.db.selectFrom('clock').select('at').executeTakeFirstOrThrow();
    this.#set(at);
  }

  /** Writes down how far the time came, and goes on from where the furthest process is. One at a time. */
  beat(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => {
      this.#beating = undefined;
    });
    return this.#beating;
  }

  /** Beats from now on. */
  start(everyMs: number, onFault: (error: unknown) => void): void {
    this.#everyMs = everyMs;
    this.#timer = setInterval(() => this.beat().catch(onFault), everyMs);
    this.#timer.unref();
  }

  /** After a last heartbeat, where it did beat. Never rejects. */
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
      .set((row) => ({ at: row.case().when('at', '<', mine).then(mine).else(row.ref('at')).end() }))
      .returning('at')
      .executeTakeFirstOrThrow();
    this.#set(at);
  }

  #set(at: number): void {
    // What passed while the ledger was asked counts, too.
    this.#at = Math.max(at, this.#at === undefined ? at : this.now());
    this.#readMs = performance.now();
  }
}
