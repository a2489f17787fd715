// Gives every event its position, soon after its commit, and deletes old events.
import type { Logger } from 'pino';
import type { EventLog } from '../ledger/event-log.ts';
import type { Ledger } from '../ledger/ledger.ts';

/** How often the ledger is read for events that no notice announced: of a creation, an operator's command, another process that died. */
const EVERY_MS = 1000;
const DELETE_EVERY_MS = 3_600_000;

export interface EventPositionsOptions {
  events: EventLog;
  ledger: Pick<Ledger, 'now' | 'onAnyChange'>;
  keepEventsForMs: number;
  /** The position up to which every consumer of this process has its events, or is sure to get them. */
  cursor(): Promise<number>;
  log: Logger;
}

export class EventPositions {
  readonly #options: EventPositionsOptions;
  readonly #listeners = new Set<() => void>();
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe = () => {};
  #assigning: Promise<void> | undefined;
  #deleting: Promise<void> | undefined;
  #isRequested = false;
  #isWell = true;
  #isClosed = false;
  #deleteAtMs = 0;

  constructor(options: EventPositionsOptions) {
    this.#options = options;
  }

  /** Resolves when all earlier events have a position. @throws when the ledger does not answer */
  async start(): Promise<void> {
    const { events, ledger } = this.#options;
    while ((await events.assignPositions()) > 0);
    this.#unsubscribe = ledger.onAnyChange(() => {
      // Without a listener, the timer is soon enough.
      if (this.#listeners.size > 0) this.#assign();
    });
    this.#timer = setInterval(() => {
      this.#assign();
      if (performance.now() >= this.#deleteAtMs) this.#deleteOld();
    }, EVERY_MS).unref();
  }

  /** Calls the listener when there may be new events. Returns a function that removes the listener. */
  onNewEvents(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#unsubscribe();
    clearInterval(this.#timer);
    await this.#assigning;
    await this.#deleting;
  }

  #assign(): void {
    this.#isRequested = true;
    this.#assigning ??= this.#assignAll().finally(() => {
      this.#assigning = undefined;
    });
  }

  async #assignAll(): Promise<void> {
    const { events, log } = this.#options;
    try {
      while (this.#isRequested && !this.#isClosed) {
        this.#isRequested = false;
        while (!this.#isClosed && (await events.assignPositions()) > 0) {
          for (const listener of this.#listeners) listener();
          // Lets waiting requests run before the next page.
          await new Promise((resolve) => setImmediate(resolve));
        }
      }
      this.#isWell = true;
    } catch (error) {
      // The timer tries again.
      if (this.#isWell) log.warn({ err: error }, 'events get no positions yet: the ledger does not answer');
      this.#isWell = false;
    }
  }

  #deleteOld(): void {
    const { events, ledger, keepEventsForMs, cursor, log } = this.#options;
    this.#deleteAtMs = performance.now() + DELETE_EVERY_MS;
    this.#deleting ??= (async () => events.forget(ledger.now() - keepEventsForMs, await cursor()))()
      .then((count) => {
        if (count > 0) log.info({ count }, 'old events were deleted');
      })
      .catch((error: unknown) => log.warn({ err: error }, 'deleting old events failed'))
      .finally(() => {
        this.#deleting = undefined;
      });
  }
}
