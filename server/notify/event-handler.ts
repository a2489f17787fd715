// An application that runs in this process is told of events by a function of its own.
import type { DueDelivery } from '../ledger/deliveries.ts';
import type { EventBody } from './event-body.ts';

/** An event and where it stands among all. */
export interface UploadEvent extends EventBody {
  /** What was given later has a higher one; `events({ after })` goes on behind it. */
  position: number;
}

/**
 * Told of each event until it resolves once: after a fault, a crash and an hour without an end the event is told again, under the same
 * `id`. Sixteen at once at most, those of one upload in order, and in one process at a time.
 *
 * @param signal aborted when nobody waits for it any more: the process ends, or the hour is over
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
