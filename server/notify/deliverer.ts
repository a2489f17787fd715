// Delivers events to one consumer: at least once, those of one upload in order the first time, and whom it can't reach with one
// event it goes on to reach with others. One process at a time does, by lease; when that dies, another goes on.
import type { Logger } from 'pino';
import type { LeaseHolder } from '../finish/lease.ts';
import type { Deliveries, DueDelivery } from '../ledger/deliveries.ts';
import type { EventLog } from '../ledger/event-log.ts';
import { pause } from '../runtime/pause.ts';

export const AT_ONCE: number = 16;
/** So long an event is tried, by the ledger's time, from its first failure on. */
export const GIVE_UP_AFTER_MS: number = 3 * 86_400_000;
const BACKOFF_BASE_MS = 2000;
const BACKOFF_CAP_MS = 3_600_000;
/** What no hint told of is found so soon. */
const POLL_MS = 1000;
/** Running deliveries may take so long to end when the server does; then they are cut, and made again by the next one. */
const CLOSE_MS = 3000;
/** After so many failures in a row the receiver is away, rather than one event not to its liking. */
const AWAY_AFTER = 3;
const LONGEST_ERROR = 500;

/** The receiver wants no more events. */
export class ReceiverGone extends Error {
  override readonly name = 'ReceiverGone';
}

/** The receiver says when to come again. */
export class TryLater extends Error {
  override readonly name = 'TryLater';
  readonly afterMs: number;

  constructor(message: string, afterMs: number) {
    super(message);
    this.afterMs = afterMs;
  }
}

export interface DelivererOptions {
  /** Its name, for the log. */
  consumer: string;
  deliveries: Deliveries;
  events: Pick<EventLog, 'last'>;
  holder: LeaseHolder;
  /** The ledger's time. */
  now(): number;
  /** Calls back when there is more to deliver. Returns how to stop. */
  onGiven(listener: () => void): () => void;
  /** An attempt is over after so long. */
  limitMs: number;
  /** @throws when it was not delivered: ReceiverGone, TryLater, or whatever it was */
  send(event: DueDelivery, signal: AbortSignal): Promise<void>;
  log: Logger;
}

export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #closing = new AbortController();
  /** Aborted when running deliveries have to end. */
  readonly #cutting = new AbortController();
  readonly #running = new Map<number, Promise<void>>();
  #work: Promise<void> = Promise.resolve();
  #wake = () => {};
  #failuresInRow = 0;
  #isWell = true;
  #isStopped = false;
  /** Answers of 410 so far whose meaning was written down, and those that are being. */
  #stops = 0;
  #stopping = 0;

  constructor(options: DelivererOptions) {
    this.#options = options;
  }

  /** The receiver said that it wants no more, and no operator enabled it since. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** Known for the first time, it is told what happens from now on. @throws when the ledger can't be reached */
  async start(): Promise<void> {
    const { deliveries, events } = this.#options;
    await deliveries.register(await events.last());
    this.#work = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    this.#wake();
    await this.#work;
    const cut = setTimeout(() => this.#cutting.abort(), CLOSE_MS);
    await Promise.race([Promise.all(this.#running.values()), pause(2 * CLOSE_MS)]);
    clearTimeout(cut);
    this.#cutting.abort();
    const { deliveries, holder, log } = this.#options;
    await (async () => deliveries.leave(holder.name))().catch((error) => log.debug({ err: error }, 'a lease was left to run out'));
  }

  async #run(): Promise<void> {
    const { log, consumer } = this.#options;
    const stop = this.#options.onGiven(() => this.#wake());
    while (!this.#closing.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      try {
        if (await this.#turn()) continue;
        this.#isWell = true;
      } catch (error) {
        if (this.#isWell) log.warn({ err: error, consumer }, 'events can not be delivered yet: the ledger does not answer');
        this.#isWell = false;
      }
      await Promise.race([promise, pause(POLL_MS, this.#closing.signal)]);
    }
    stop();
  }

  /** Whether there is more to do at once. */
  async #turn(): Promise<boolean> {
    const { deliveries, events, holder, now } = this.#options;
    const stops = this.#stops;
    const consumer = await deliveries.consumer();
    if (consumer === undefined) return false;
    this.#isStopped = consumer.isStopped;
    // While the ledger is away for longer than the lease, this throws.
    const { name } = holder;
    if (consumer.leaseOwner !== name) {
      if (!(await deliveries.take(name, holder.isAlone))) return false;
      await deliveries.releaseAll(now());
    }
    if (consumer.isStopped) return false;
    const isMore = await deliveries.enqueue(name, consumer.cursor, await events.last(), now());
    const free = AT_ONCE - this.#running.size;
    if (free <= 0) return false;
    const due = await deliveries.due(now(), AT_ONCE + this.#running.size);
    // It was read before, maybe, that the receiver wants more.
    if (this.#stopping > 0 || this.#stops !== stops) return false;
    const next = due.filter(({ position }) => !this.#running.has(position)).slice(0, free);
    for (const delivery of next) {
      const running = this.#deliver(delivery).finally(() => {
        this.#running.delete(delivery.position);
        this.#wake();
      });
      this.#running.set(delivery.position, running);
    }
    return isMore;
  }

  /** Never rejects. */
  async #deliver(delivery: DueDelivery): Promise<void> {
    const { deliveries, send, limitMs, log, consumer } = this.#options;
    const { position, uploadId, id, type } = delivery;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new Error(`There was no answer in ${limitMs / 1000} s.`)), limitMs);
    try {
      const signal = AbortSignal.any([limit.signal, this.#cutting.signal]);
      await Promise.race([send(delivery, signal), aborted(signal)]);
      await this.#write(() => deliveries.delivered(position, uploadId, this.#options.now()));
      log.debug({ event: id, type, upload: uploadId, consumer }, 'delivered');
      if (this.#failuresInRow >= AWAY_AFTER) await this.#write(() => deliveries.retryNow(this.#options.now()));
      this.#failuresInRow = 0;
    } catch (error) {
      // It was cut by our own end, which says nothing of the receiver.
      if (this.#cutting.signal.aborted) return;
      if (error instanceof ReceiverGone) await this.#stop();
      else await this.#fail(delivery, error);
    } finally {
      clearTimeout(timer);
    }
  }

  async #fail(delivery: DueDelivery, error: unknown): Promise<void> {
    const { deliveries, now, log, consumer } = this.#options;
    const { position, uploadId, id, type, attempts } = delivery;
    this.#failuresInRow += 1;
    const failedAt = delivery.failedAt ?? now();
    const isOver = now() - failedAt >= GIVE_UP_AFTER_MS;
    const dueAt = isOver ? null : now() + retryAfterMs(attempts, error);
    const line = { err: error, event: id, type, upload: uploadId, attempts: attempts + 1, consumer };
    if (isOver) log.error(line, 'an event was not delivered in three days, and is given up (landfall-server events redeliver)');
    else if (attempts === 0) log.warn(line, 'an event was not delivered, and will be again');
    else log.debug(line, 'an event was not delivered, and will be again');
    const words = (error instanceof Error ? error.message : String(error)).slice(0, LONGEST_ERROR);
    await this.#write(() => deliveries.failed({ position, uploadId, failedAt, dueAt, error: words }, now()));
  }

  async #stop(): Promise<void> {
    const { deliveries, log, consumer } = this.#options;
    // Several answers may say so.
    if (!this.#isStopped)
      log.error({ consumer }, 'the receiver wants no more events (410): they are kept, until `landfall-server events enable`');
    this.#isStopped = true;
    this.#stopping += 1;
    await this.#write(() => deliveries.stop());
    this.#stopping -= 1;
    this.#stops += 1;
  }

  /** An outcome is written down however long the ledger is away: without it the event would be delivered again at once. */
  async #write(write: () => Promise<void>): Promise<void> {
    while (!this.#cutting.signal.aborted) {
      try {
        return await write();
      } catch (error) {
        this.#options.log.debug({ err: error }, 'an outcome was not written down, and will be');
        await pause(POLL_MS, this.#cutting.signal);
      }
    }
  }
}

/** Spread, so that what failed together does not come back together. */
function retryAfterMs(attempts: number, error: unknown): number {
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempts, 20));
  const backoffMs = Math.round(ceilingMs / 2 + (Math.random() * ceilingMs) / 2);
  return error instanceof TryLater ? Math.max(backoffMs, Math.min(error.afterMs, BACKOFF_CAP_MS)) : backoffMs;
}

/** Rejects with the reason. */
function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return promise;
}
