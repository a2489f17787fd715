// Connects the event log of this process with its consumers: a webhook, the application's function, readers of the feed.
import type { Logger } from 'pino';
import type { ApplicationRecord } from '../../shared/upload.ts';
import type { LeaseHolder } from '../finish/lease.ts';
import { Deliveries } from '../ledger/deliveries.ts';
import type { Engine } from '../ledger/engine.ts';
import { EventLog, type NewEvent } from '../ledger/event-log.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { Deliverer, type DelivererOptions } from './deliverer.ts';
import { bareEventBody, eventBody } from './event-body.ts';
import { type FeedOptions, readEvents } from './event-feed.ts';
import { HANDLER_LIMIT_MS, handlerOf, type OnEvent, type UploadEvent } from './event-handler.ts';
import { EventPositions } from './event-positions.ts';
import { WEBHOOK_LIMIT_MS, Webhook, type WebhookOptions } from './webhooks.ts';

export interface EventDeliveryOptions {
  engine: Engine;
  ledger: Ledger;
  holder: LeaseHolder;
  /** An upload as the application sees it. */
  describe(upload: Upload): ApplicationRecord;
  keepEventsForMs: number;
  webhook?: WebhookOptions;
  onEvent?: OnEvent;
  log: Logger;
}

export class EventDelivery {
  readonly #options: EventDeliveryOptions;
  readonly #events: EventLog;
  readonly #positions: EventPositions;
  readonly #deliverers = new Map<string, Deliverer>();
  readonly #closing = new AbortController();

  constructor(options: EventDeliveryOptions) {
    this.#options = options;
    const { engine, ledger, keepEventsForMs, log } = options;
    this.#events = new EventLog({ engine, now: () => ledger.now(), bodyOf: (event) => this.#bodyOf(event) });
    this.#positions = new EventPositions({ events: this.#events, ledger, keepEventsForMs, cursor: () => this.#cursor(), log });
    const { webhook, onEvent } = options;
    if (webhook) {
      const sender = new Webhook(webhook);
      const { publicKeys } = sender;
      log.info({ receiver: new URL(webhook.url).host, ...(publicKeys.length > 0 && { publicKeys }) }, 'events go to a webhook');
      this.#add('webhook', WEBHOOK_LIMIT_MS, (event, signal) => sender.send(event, signal));
    }
    if (onEvent) this.#add('handler', HANDLER_LIMIT_MS, handlerOf(onEvent));
  }

  /** @throws when the ledger can't be reached */
  async start(): Promise<void> {
    await this.#positions.start();
    for (const deliverer of this.#deliverers.values()) await deliverer.start();
  }

  /** The webhook's receiver answered 410, and no operator has enabled it since. */
  get isWebhookStopped(): boolean {
    return this.#deliverers.get('webhook')?.isStopped ?? false;
  }

  read(options?: FeedOptions): AsyncGenerator<UploadEvent, void, undefined> {
    const onNewEvents = (listener: () => void) => this.#positions.onNewEvents(listener);
    return readEvents({ events: this.#events, onNewEvents, closing: this.#closing.signal, log: this.#options.log }, options);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#deliverers.values()].map((deliverer) => deliverer.close()));
    await this.#positions.close();
  }

  #add(consumer: string, limitMs: number, send: DelivererOptions['send']): void {
    const { engine, ledger, holder, log } = this.#options;
    const common = { events: this.#events, holder, now: () => ledger.now(), log };
    const onNewEvents = (listener: () => void) => this.#positions.onNewEvents(listener);
    const deliveries = new Deliveries(engine, consumer);
    this.#deliverers.set(consumer, new Deliverer({ ...common, consumer, deliveries, onNewEvents, limitMs, send }));
  }

  #bodyOf(event: NewEvent): string {
    try {
      return eventBody(event, this.#options.describe);
    } catch (error) {
      this.#options.log.error({ err: error, event: event.id }, 'the row of an upload is broken: its event only names the upload');
      return bareEventBody(event);
    }
  }

  async #cursor(): Promise<number> {
    const { engine } = this.#options;
    const consumers = await Promise.all([...this.#deliverers.keys()].map((name) => new Deliveries(engine, name).consumer()));
    // For a receiver that wants no events, they are kept no longer than any event.
    const active = consumers.filter((consumer) => consumer !== undefined && !consumer.isStopped);
    return Math.min(Number.MAX_SAFE_INTEGER, ...active.map((consumer) => consumer?.cursor ?? 0));
  }
}
