// Calls the embedding application's function with events.
import type { CompleteDelivery } from '../ledger/deliveries.ts';
import type { EventBody } from './event-body.ts';

/**
 * An event and its position among all events.
 *
 * @example
 * ```ts
 * import type { UploadEvent } from 'landfall-server';
 *
 * const lineOf = ({ position, type, timestamp, data }: UploadEvent) => `${position} ${timestamp} ${type} ${data.name}`;
 * ```
 */
export interface UploadEvent extends EventBody {
  /** Later events have a higher position; `events({ after })` continues after it. */
  position: number;
}

/**
 * Called with each event until it resolves once: after an error, a crash, or an hour without an end, it is called again with the same
 * `id`. At most sixteen calls run at once, those of one upload in order, and in one process at a time.
 *
 * @param context its `signal` is aborted when the result no longer counts: the process ends, or the hour is over
 *
 * @example
 * ```ts
 * import { createLandfall, type OnEvent } from 'landfall-server';
 *
 * const onEvent: OnEvent = async ({ id, type, data }, { signal }) => {
 *   if (type !== 'upload.accepted') return;
 *   const headers = { 'Idempotency-Key': id };
 *   const answer = await fetch('https://app.example/films', { method: 'POST', headers, body: JSON.stringify(data), signal });
 *   if (!answer.ok) throw new Error(`The application answered ${answer.status}.`); // told again later
 * };
 * const landfall = createLandfall({ dataDir: './data' }, { onEvent });
 * ```
 */
export type OnEvent = (event: UploadEvent, context: { signal: AbortSignal }) => Promise<void> | void;

/** A call that takes longer hangs, or does work that belongs elsewhere. */
export const HANDLER_LIMIT_MS = 3_600_000;

export function toUploadEvent({ position, body }: { position: number; body: string }): UploadEvent {
  return { ...(JSON.parse(body) as EventBody), position };
}

export function handlerOf(onEvent: OnEvent): (event: CompleteDelivery, signal: AbortSignal) => Promise<void> {
  return async (event, signal) => onEvent(toUploadEvent(event), { signal });
}
