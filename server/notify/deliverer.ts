// Delivers events to one consumer, at least once. Events of one upload are first delivered in order; an event that cannot be
// delivered does not delay those of other uploads. One process at a time delivers, by a lease; when it dies, another takes over.
import type { Logger } from 'pino';
import type { LeaseHolder } from '../finish/lease.ts';
import { Batches } from '../ledger/batches.ts';
import type { CompleteDelivery, Deliveries, DueDelivery } from '../ledger/deliveries.ts';
import type { EventLog } from '../ledger/event-log.ts';
import { isUnwritable } from '../ledger/refusals.ts';
import { pause } from '../runtime/pause.ts';

export const AT_ONCE: number = 16;
/** For how long an event is retried after its first failure, by the ledger's clock. */
export const GIVE_UP_AFTER_MS: number = 3 * 86_400_000;
const BACKOFF_BASE_MS = 2000;
const BACKOFF_CAP_MS = 3_600_000;
/** How often the ledger is read for events that no notice announced. */
const POLL_MS = 1000;
/** Due deliveries that are read from the ledger together, and used for `POLL_MS`. */
const READ_AT_ONCE = 4 * AT_ONCE;
/** How long running deliveries may take when the server closes. Then they are aborted, and the next process repeats them. */
const CLOSE_MS = 3000;
/** After this many failures in a row the receiver counts as down, and no longer as refusing one event. */
const AWAY_AFTER = 3;
const LONGEST_ERROR = 500;

/** The receiver answered that it wants no more events. */
export class ReceiverGone extends Error {
  override readonly name = 'ReceiverGone';
}

/** The receiver answered when to try again. */
export class TryLater extends Error {
  override readonly name = 'TryLater';
  readonly afterMs: number;

  constructor(message: string, afterMs: number) {
    super(message);
    this.afterMs = afterMs;
  }
}

export interface DelivererOptions {
  /** The consumer's name, for the log. */
  consumer: string;
  deliveries: Deliveries;
  events: Pick<EventLog, 'last' | 'withBodies'>;
  holder: LeaseHolder;
  /** The ledger's clock. */
  now(): number;
  /** Calls the listener when there are new events. Returns a function that removes the listener. */
  onNewEvents(listener: () => void): () => void;
  /** Time limit of one attempt. */
  limitMs: number;
  /** @throws when the event was not delivered: ReceiverGone, TryLater, or any other error */
  send(event: CompleteDelivery, signal: AbortSignal): Promise<void>;
  log: Logger;
}

export class Deliverer {
  readonly #options: DelivererOptions;
  readonly #closing = new AbortController();
  /** Aborted when running deliveries must end. */
  readonly #cutting = new AbortController();
  readonly #running = new Map<number, Promise<void>>();
  /** Deliveries whose outcome the ledger refused: they stay due in it, and this process does not begin them again. */
  readonly #unwritable = new Set<number>();
  readonly #delivered: Batches<CompleteDelivery, void>;
  /** Read from the ledger, and not begun. */
  #due: DueDelivery[] = [];
  #readAt = Number.NEGATIVE_INFINITY;
  #work: Promise<void> = Promise.resolve();
  #wake = () => {};
  #failuresInRow = 0;
  #isWell = true;
  /** False after an outcome could not be recorded, until one can. */
  #isRecording = true;
  #isStopped = false;
  /** How many answers of 410 have been recorded, and how many are being recorded. */
  #stops = 0;
  #stopping = 0;

  constructor(options: DelivererOptions) {
    this.#options = options;
    const { deliveries, now } = options;
    this.#delivered = new Batches({
      keyOf: ({ position }) => String(position),
      run: async (done) => {
        await deliveries.delivered(done, now());
        return [];
      },
      isRefusal: isUnwritable,
    });
  }

  /** The receiver answered 410, and no operator has enabled it since. */
  get isStopped(): boolean {
    return this.#isStopped;
  }

  /** A consumer that is new to the ledger gets events from now on. @throws when the ledger does not answer */
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
    await (async () => deliveries.leave(holder.name))().catch((error) =>
      log.debug({ err: error }, 'releasing a lease failed; it will run out'),
    );
  }

  async #run(): Promise<void> {
    const { log, consumer } = this.#options;
    const stop = this.#options.onNewEvents(() => this.#wake());
    while (!this.#closing.signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      try {
        if (await this.#turn()) continue;
        this.#isWell = true;
      } catch (error) {
        if (this.#isWell) log.warn({ err: error, consumer }, 'events cannot be delivered yet: the ledger does not answer');
        this.#isWell = false;
      }
      await Promise.race([promise, pause(POLL_MS, this.#closing.signal)]);
    }
    stop();
  }

  /** Resolves to true when there is more to do at once. */
  async #turn(): Promise<boolean> {
    const { deliveries, events, holder, now } = this.#options;
    // This throws while the ledger has not answered for longer than the lease.
    const { name } = holder;
    if (this.#begin() && performance.now() - this.#readAt < POLL_MS) return false;
    const stops = this.#stops;
    const consumer = await deliveries.consumer();
    if (consumer === undefined) return false;
    this.#isStopped = consumer.isStopped;
    if (consumer.leaseOwner !== name) {
      if (!(await deliveries.take(name, holder.isAlone))) return false;
      await deliveries.releaseAll(now());
      this.#unwritable.clear();
      // The failures before this process began to deliver are not known: the receiver may have been down.
      this.#failuresInRow = AWAY_AFTER;
    }
    if (consumer.isStopped) return false;
    const isMore = await deliveries.enqueue(name, consumer.cursor, await events.last(), now());
    if (this.#running.size >= AT_ONCE) return false;
    const readAt = performance.now();
    // The ledger may still show one of these as due, although it ends while the ledger is read, or its outcome was refused.
    const running = new Set([...this.#running.keys(), ...this.#unwritable]);
    const due = await deliveries.due(now(), READ_AT_ONCE + running.size);
    // The consumer may have been read before a 410 was recorded.
    if (this.#stopping > 0 || this.#stops !== stops) return false;
    this.#due = due.filter(({ position }) => !running.has(position));
    this.#readAt = readAt;
    this.#begin();
    return isMore && this.#due.length === 0;
  }

  /** Begins deliveries that are known to be due, as many as may run at once. Returns true when others are left. */
  #begin(): boolean {
    if (this.#isStopped) this.#due = [];
    for (const delivery of this.#due.splice(0, AT_ONCE - this.#running.size)) {
      const running = this.#deliver(delivery).finally(() => {
        this.#running.delete(delivery.position);
        this.#wake();
      });
      this.#running.set(delivery.position, running);
    }
    return this.#due.length > 0;
  }

  /** Never rejects. */
  async #deliver(due: DueDelivery): Promise<void> {
    const { send, limitMs } = this.#options;
    const delivery = await this.#complete(due);
    // It stays due.
    if (delivery === undefined) return;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(new Error(`There was no answer in ${limitMs / 1000} s.`)), limitMs);
    try {
      const signal = AbortSignal.any([limit.signal, this.#cutting.signal]);
      await Promise.race([send(delivery, signal), aborted(signal)]);
    } catch (error) {
      // Aborted because this server closes, which says nothing about the receiver.
      if (this.#cutting.signal.aborted) return;
      return await (error instanceof ReceiverGone ? this.#stop() : this.#fail(delivery, error));
    } finally {
      clearTimeout(timer);
    }
    await this.#succeed(delivery);
  }

  async #succeed(delivery: CompleteDelivery): Promise<void> {
    const { deliveries, now, log, consumer } = this.#options;
    const { uploadId, id, type } = delivery;
    const wasAway = this.#failuresInRow >= AWAY_AFTER;
    this.#failuresInRow = 0;
    await this.#write(() => this.#delivered.do(delivery), delivery);
    log.debug({ event: id, type, upload: uploadId, consumer }, 'delivered');
    if (wasAway) await this.#write(() => deliveries.retryNow(now()));
  }

  /** Resolves to undefined, after a pause, when the ledger cannot write the event's body. Never rejects. */
  async #complete(due: DueDelivery): Promise<CompleteDelivery | undefined> {
    const { events, log, consumer } = this.#options;
    try {
      const [complete] = await events.withBodies([due]);
      if (complete !== undefined) return complete;
    } catch (error) {
      log.warn({ err: error, event: due.id, consumer }, 'an event cannot be delivered yet: the ledger does not answer');
    }
    await pause(POLL_MS, this.#closing.signal);
    return undefined;
  }

  async #fail(delivery: CompleteDelivery, error: unknown): Promise<void> {
    const { deliveries, now, log, consumer } = this.#options;
    const { position, uploadId, id, type, attempts } = delivery;
    this.#failuresInRow += 1;
    const failedAt = delivery.failedAt ?? now();
    const isOver = now() - failedAt >= GIVE_UP_AFTER_MS;
    const dueAt = isOver ? null : now() + retryAfterMs(attempts, error);
    const line = { err: error, event: id, type, upload: uploadId, attempts: attempts + 1, consumer };
    if (isOver)
      log.error(
        line,
        'an event was not delivered within three days and is not retried any more (send it again with landfall-server events redeliver)',
      );
    else if (attempts === 0) log.warn(line, 'an event was not delivered and will be retried');
    else log.debug(line, 'an event was not delivered and will be retried');
    // PostgreSQL cannot store NUL.
    const words = String(error instanceof Error ? error.message : error)
      .replaceAll('\0', '\ufffd')
      .slice(0, LONGEST_ERROR);
    await this.#write(() => deliveries.failed({ position, uploadId, failedAt, dueAt, error: words }, now()), delivery);
  }

  async #stop(): Promise<void> {
    const { deliveries, log, consumer } = this.#options;
    // Several deliveries may be answered 410; only the first one is logged.
    if (!this.#isStopped)
      log.error({ consumer }, 'the receiver wants no more events (410): they are kept until `landfall-server events enable`');
    this.#isStopped = true;
    this.#stopping += 1;
    await this.#write(() => deliveries.stop());
    this.#stopping -= 1;
    this.#stops += 1;
  }

  /**
   * Records an outcome, however long the ledger does not answer: without the record the event would be delivered again at once. When
   * the ledger refuses the outcome of a delivery, it always will: the delivery is then set aside, so that it blocks no other.
   */
  async #write(write: () => Promise<void>, delivery?: DueDelivery): Promise<void> {
    const { log, consumer } = this.#options;
    while (!this.#cutting.signal.aborted) {
      try {
        await write();
        this.#isRecording = true;
        return;
      } catch (error) {
        if (delivery !== undefined && isUnwritable(error)) {
          const { position, id, type, uploadId } = delivery;
          this.#unwritable.add(position);
          log.warn(
            { err: error, event: id, type, upload: uploadId, consumer },
            'the ledger refuses the outcome of a delivery: the event is not delivered again until the server restarts',
          );
          return;
        }
        log[this.#isRecording ? 'warn' : 'debug']({ err: error, consumer }, 'recording an outcome failed and is retried');
        this.#isRecording = false;
        await pause(POLL_MS, this.#cutting.signal);
      }
    }
  }
}

/** Randomly spread, so that deliveries that failed together are not retried together. */
function retryAfterMs(attempts: number, error: unknown): number {
  const ceilingMs = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** Math.min(attempts, 20));
  const backoffMs = Math.round(ceilingMs / 2 + (Math.random() * ceilingMs) / 2);
  return error instanceof TryLater ? Math.max(backoffMs, Math.min(error.afterMs, BACKOFF_CAP_MS)) : backoffMs;
}

/** Rejects with the signal's reason when it is aborted. */
function aborted(signal: AbortSignal): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return promise;
}
