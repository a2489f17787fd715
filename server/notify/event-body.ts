// The body of an event: made once, from the row as the change left it, and the same in every delivery.
import type { ApplicationRecord, UploadState } from '../../shared/upload.ts';
import type { NewEvent } from '../ledger/event-log.ts';
import type { EventType } from '../ledger/event-tables.ts';
import { JUST_CREATED, toUpload, type Upload, type UploadRow } from '../ledger/upload.ts';

/**
 * The body of an event: the form of Standard Webhooks, with `id` and `sequence` added.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http';
 * import { text } from 'node:stream/consumers';
 * import type { EventBody } from 'landfall-server';
 *
 * createServer(async (request, response) => {
 *   const { type, data }: EventBody = JSON.parse(await text(request)); // verify its signature first: docs/events.md
 *   console.log(type, data.owner, data.name);
 *   response.writeHead(204).end();
 * }).listen(4000);
 * ```
 */
export interface EventBody {
  /** `evt_` and 32 hex digits: the same however often the event is delivered. */
  id: string;
  /** What happened. */
  type: EventType;
  /** When it happened: ISO 8601, UTC. */
  timestamp: string;
  /** The order of the events of this upload: a higher number happened later, in whatever order the events are delivered. */
  sequence: number;
  /** The upload as it was then. */
  data: ApplicationRecord;
}

/** An upload is created, then ends once, and only then can its file be removed. */
const SEQUENCE: Readonly<Record<EventType, number>> = {
  'upload.created': 1,
  'upload.accepted': 2,
  'upload.rejected': 2,
  'upload.expired': 2,
  'upload.terminated': 2,
  'upload.removed': 3,
};

/** The body as JSON. @throws BrokenRow */
export function eventBody({ id, type, at, upload }: NewEvent, describe: (upload: Upload) => ApplicationRecord): string {
  // An event of an earlier version lacks later columns.
  const row: UploadRow = { ...JUST_CREATED, ...(JSON.parse(upload) as UploadRow), ...asOf(type) };
  const timestamp = new Date(at).toISOString();
  const body: EventBody = { id, type, timestamp, sequence: SEQUENCE[type], data: describe(toUpload(row)) };
  return JSON.stringify(body);
}

/**
 * The state that the event reports, which the row may not have. A row that is inserted as `inspecting`, or in a final state, also makes
 * the event of its creation. A row that is deleted never had the state `terminated`.
 */
function asOf(type: EventType): Partial<UploadRow> {
  if (type === 'upload.created') return { state: 'receiving', attempt: 0 };
  return { state: type.slice('upload.'.length) as UploadState };
}

/** The body for a row that lacks a column that its state requires: the event names at least its upload. */
export function bareEventBody({ id, type, at, upload }: NewEvent): string {
  const { id: uploadId } = JSON.parse(upload) as UploadRow;
  return JSON.stringify({ id, type, timestamp: new Date(at).toISOString(), sequence: SEQUENCE[type], data: { id: uploadId } });
}
