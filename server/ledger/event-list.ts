// Events with the state of their delivery, for operators.
import { sql } from 'kysely';
import type { Engine } from './engine.ts';
import { type EventType, positionIn } from './event-tables.ts';
import type { UploadId } from './upload-id.ts';

export interface ListedEvent {
  position: number;
  id: string;
  type: EventType;
  uploadId: UploadId;
  at: number;
  /** Null: made of `upload`, the upload's row after the change, when it is first needed. */
  body: string | null;
  upload: string | null;
  /** `none`: the event is older than the consumer. */
  delivery: 'none' | 'waiting' | 'pending' | 'failed' | 'delivered';
  attempts: number;
  lastError: string | null;
}

export interface EventListOptions {
  limit: number;
  /** State of the delivery. */
  state?: 'pending' | 'failed';
  /** Only events before this position. */
  before?: number;
}

/** Newest first. Events without a position are left out. */
export async function listEvents(engine: Engine, consumer: string, { limit, state, before }: EventListOptions): Promise<ListedEvent[]> {
  // Ordered by the table that has fewer matching rows.
  const position = state === undefined ? 'events.position' : 'deliveries.position';
  let query = joined(engine, consumer).where(position, '>', 0).orderBy(position, 'desc').limit(limit);
  if (state !== undefined) query = query.where('deliveries.consumer', '=', consumer).where('deliveries.state', '=', state);
  if (before !== undefined) query = query.where(position, '<', before);
  return (await query.execute()) as ListedEvent[];
}

export async function findEvent(engine: Engine, consumer: string, id: string): Promise<ListedEvent | undefined> {
  const query = joined(engine, consumer).where('events.id', '=', id).where('events.position', 'is not', null);
  // SQLite has no index of the ids. It reads the whole table for an id that an earlier version made, or that is wrong.
  const position = engine.dialect === 'sqlite' ? positionIn(id) : undefined;
  const found = position === undefined ? undefined : await query.where('events.position', '=', position).executeTakeFirst();
  return (found ?? (await query.executeTakeFirst())) as ListedEvent | undefined;
}

function joined({ db }: Engine, consumer: string) {
  return db
    .selectFrom('events')
    .leftJoin('deliveries', (join) => join.onRef('deliveries.position', '=', 'events.position').on('deliveries.consumer', '=', consumer))
    .leftJoin('consumers', (join) => join.on('consumers.name', '=', consumer))
    .select([
      'events.position',
      'events.id',
      'events.type',
      'events.uploadId',
      'events.at',
      'events.body',
      'events.upload',
      'deliveries.lastError',
    ])
    .select(sql<number>`coalesce(deliveries.attempts, 0)`.as('attempts'))
    .select(
      sql<ListedEvent['delivery']>`case when deliveries.state is not null then deliveries.state
        when consumers.cursor is null or events.position <= consumers."beganAfter" then 'none'
        when events.position <= consumers.cursor then 'delivered' else 'waiting' end`.as('delivery'),
    );
}
