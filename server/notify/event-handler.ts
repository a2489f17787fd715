// An application that runs in this process is told of events by a function of its own.
import type { DueDelivery } from '../ledger/deliveries.ts';
import type { EventBody } from './event-body.ts';

/**
 * An event and where it stands among all.
 *
 * @example
 * ```ts
 * import type { UploadEvent } from 'landfall-server';
 *
 * const lineOf = ({ position, type, timestamp, data }: UploadEvent) => `${position} ${timestamp} ${type} ${data.name}`;
 * ```
 */
export interface UploadEvent extends EventBody {
  /** Later events have a higher one; `events({ after })` goes on after it. */
  position: number;
}

/**
 * Told of each event until it resolves once: after a fault, a crash and an hour without an end the event is told again, under the same
 * `id`. Sixteen at once at most, those of one upload in order, and in one process at a time.
 *
 * @param context its `signal` is aborted when nobody waits for the function any more: the process ends, or the hour is over
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

/** What takes longer has hung, or does work that belongs elsewhere. */
export const HANDLER_LIMIT_MS = 3_600_000;

export function toUploadEvent({ position, body }: { position: number; body: string }): UploadEvent {
  return { ...(JSON.parse(body) as EventBody), position };
}

export function handlerOf(onEvent: OnEvent): (event: DueDelivery, signal: AbortSignal) => Promise<void> {
  return async (event, signal) => onEvent(toUploadEvent(event), { signal });
}
