// Sees to it that every event gets its position, soon after its commit, and goes when it is old.
import type { Logger } from 'pino';
import type { EventLog } from '../ledger/event-log.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** What no hint told of is found so soon: an upload that was created, an operator's command, another process that died. */
const EVERY_MS = 1000;
const FORGET_EVERY_MS = 3_600_000;

export interface PositionsOptions {
  events: EventLog;
  ledger: Pick<Ledger, 'now' | 'onAnyChange'>;
  keepEventsForMs: number;
  /** Up to where all whom this process tells have heard, or are sure to. */
  cursor(): Promise<number>;
  log: Logger;
}

export class Positions {
  readonly #options: PositionsOptions;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #stopHints = () => {};
  #giving: Promise<void> | undefined;
  #forgetting: Promise<void> | undefined;
  #isAgain = false;
  #isWell = true;
  #isClosed = false;
  #forgetAtMs = 0;

  constructor(options: PositionsOptions) {
    this.#options = options;
  }

  /** Resolves when all that happened before has a position. @throws when the ledger can't be reached */
  async start(): Promise<void> {
    const { events, ledger } = this.#options;
    while ((await events.assignPositions()) > 0);
    this.#stopHints = ledger.onAnyChange(() => {
      // Where nobody waits, the timer does.
      if (this.#listeners.size > 0) this.#give();
    });
    this.#timer = setInterval(() => {
      this.#give();
      if (performance.now() >= this.#forgetAtMs) this.#forget();
    }, EVERY_MS).unref();
  }

  /** Calls back when there may be more to read. Returns how to stop. */
  onGiven(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopHints();
    clearInterval(this.#timer);
    await this.#giving;
    await this.#forgetting;
  }

  #give(): void {
    this.#isAgain = true;
    this.#giving ??= this.#giveAll().finally(() => {
      this.#giving = undefined;
    });
  }

  async #giveAll(): Promise<void> {
    const { events, log } = this.#options;
    try {
      while (this.#isAgain && !this.#isClosed) {
        this.#isAgain = false;
        while (!this.#isClosed && (await events.assignPositions()) > 0) {
          for (const listener of this.#listeners) listener();
          // Requests come first.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      this.#isWell = true;
    } catch (error) {
      // The timer tries again.
      if (this.#isWell) log.warn({ err: error }, 'events can not be told of yet: the ledger does not answer');
      this.#isWell = false;
    }
  }

  #forget(): void {
    const { events, ledger, keepEventsForMs, cursor, log } = this.#options;
    this.#forgetAtMs = performance.now() + FORGET_EVERY_MS;
    this.#forgetting ??= (async () => events.forget(ledger.now() - keepEventsForMs, await cursor()))()
      .then((count) => {
        if (count > 0) log.info({ count }, 'old events were forgotten');
      })
      .catch((error: unknown) => log.warn({ err: error }, 'old events can not be forgotten yet'))
      .finally(() => {
        this.#forgetting = undefined;
      });
  }
}
