// Reads events from any position that is kept, for readers that track their own position.
import type { Logger } from 'pino';
import { UploadError } from '../../shared/errors.ts';
import type { EventLog } from '../ledger/event-log.ts';
import { pause } from '../runtime/pause.ts';
import { toUploadEvent, type UploadEvent } from './event-handler.ts';

const PAGE = 100;
/** How often the ledger is read for events that no notice announced, and again when it did not answer. */
const POLL_MS = 1000;

/**
 * Where `landfall.events()` begins and ends.
 *
 * @example
 * ```ts
 * import { createLandfall, type FeedOptions } from 'landfall-server';
 *
 * const landfall = createLandfall({ dataDir: './data' });
 * await landfall.start();
 * const options: FeedOptions = { after: 0, signal: AbortSignal.timeout(60_000) };
 * for await (const { position, type } of landfall.events(options)) console.log(position, type);
 * ```
 */
export interface FeedOptions {
  /** The position of the last event that the reader has; 0 for all kept events. @default 0 */
  after?: number;
  /** Ends the iteration when it is aborted. @default none: until the server closes */
  signal?: AbortSignal;
}

export interface EventFeedOptions {
  events: EventLog;
  onNewEvents(listener: () => void): () => void;
  /** Aborted when the server closes, which ends every iteration. */
  closing: AbortSignal;
  log: Logger;
}

/**
 * Yields every event after a position, in order, then each new event, until the signal is aborted or the server closes. While the
 * ledger does not answer, the iteration waits.
 * @throws UploadError ERR_EVENTS_FORGOTTEN, ERR_BAD_REQUEST
 */
export async function* readEvents(
  { events, onNewEvents, closing, log }: EventFeedOptions,
  { after = 0, signal }: FeedOptions = {},
): AsyncGenerator<UploadEvent, void, undefined> {
  const ended = signal === undefined ? closing : AbortSignal.any([signal, closing]);
  let cursor = after;
  let isKnown = false;
  while (!ended.aborted) {
    const { promise: given, resolve } = Promise.withResolvers<void>();
    const stop = onNewEvents(resolve);
    try {
      // The events that a slow reader still needs may be deleted meanwhile, so each page checks the position.
      const page = await events.read(cursor, PAGE);
      await events.requireKnown(cursor);
      isKnown = true;
      for (const event of page) {
        if (ended.aborted) return;
        yield toUploadEvent(event);
        cursor = event.position;
      }
      if (page.length === 0) await Promise.race([given, pause(POLL_MS, ended)]);
    } catch (error) {
      if (error instanceof UploadError && (!isKnown || error.code === 'ERR_EVENTS_FORGOTTEN')) throw error;
      log.warn({ err: error }, 'events cannot be read now: the ledger does not answer');
      await pause(POLL_MS, ended);
    } finally {
      stop();
    }
  }
}
