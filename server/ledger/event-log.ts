// Events in the order in which readers see them. A reader that has read up to a position has missed no event: an event that commits
// later gets a later position, whenever its statement began. On PostgreSQL one process at a time assigns positions, after the commit.
// On SQLite, which has one writer at a time, the trigger that writes an event gives it the next position.
import { type Kysely, sql } from 'kysely';
import { UploadError } from '../../shared/errors.ts';
import { inBriefTransaction } from './brief-transaction.ts';
import type { Engine } from './engine.ts';
import { type EventTable, type EventType, EVENTS_FLOOR as FLOOR } from './event-tables.ts';
import type { Schema } from './schema.ts';
import type { UploadId } from './upload-id.ts';

/** Most rows in one transaction. */
const PAGE = 200;
/** Key of the fact that holds the highest deleted position. */
const FORGOTTEN = 'eventsForgotten';
/** More events than a ledger can have written since the backup that replaces it. */
const LEAP = 1_000_000_000;
/** First key of the advisory lock. The second is the table's oid, since a database may hold several ledgers. */
const LOCK_CLASS = 0x4c414e44;

/** An event without a position. */
export type NewEvent = Pick<EventTable, 'id' | 'type' | 'at'> & { upload: string };

/** An event as readers see it. */
export interface LoggedEvent {
  position: number;
  id: string;
  type: EventType;
  uploadId: UploadId;
  body: string;
}

/** An event with the position and the body that are about to be written. */
type PositionedEvent = Pick<LoggedEvent, 'id' | 'position' | 'body'>;

export interface EventLogOptions {
  engine: Engine;
  /** The ledger's time. */
  now(): number;
  /** Makes the event's JSON body. It must not throw: all later events would wait for ever. */
  bodyOf(event: NewEvent): string;
}

export class EventLog {
  readonly #options: EventLogOptions;
  /** SQLite only: up to this position, events and positions are durable. */
  #durable = 0;

  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  /**
   * PostgreSQL: assigns positions to a page of events that have none, and writes their bodies in the same statement. When the process
   * dies before that, the events wait without a position for the next call. SQLite: lets readers see the events that are durable now.
   *
   * Resolves to 0 when there was no new event.
   */
  async assignPositions(): Promise<number> {
    const { db, dialect } = this.#options.engine;
    if (dialect === 'sqlite') return this.#showDurable();
    const isAny = await db.selectFrom('events').select('number').where('position', 'is', null).limit(1).executeTakeFirst();
    if (isAny === undefined) return 0;
    return inBriefTransaction(this.#options.engine, async (transaction) => {
      await sql`select pg_advisory_xact_lock(${sql.lit(LOCK_CLASS)}, 'events'::regclass::oid::int)`.execute(transaction);
      // These statements start under the lock, so they see all positions that its former holders assigned.
      return this.#assign(transaction, await newEvents(transaction));
    });
  }

  async #showDurable(): Promise<number> {
    const { engine } = this.#options;
    for (;;) {
      const { rollbacks } = engine;
      const last = await lastPosition(engine.db);
      const shown = this.#durable;
      if (last <= shown) return 0;
      await engine.flush();
      // The event may have been rolled back, and its position given to another.
      if (engine.rollbacks !== rollbacks) continue;
      this.#durable = Math.max(last, this.#durable);
      return last - shown;
    }
  }

  async #assign(db: Kysely<Schema>, events: readonly NewEvent[]): Promise<number> {
    if (events.length === 0) return 0;
    const floor = Number((await factOf(db, FLOOR)) ?? 0);
    const last = Math.max(floor, await lastPosition(db));
    const given = events.map((event, n) => ({ id: event.id, position: last + 1 + n, body: this.#options.bodyOf(event) }));
    await this.#writeTogether(db, given);
    return events.length;
  }

  /** Finds the events by their ids: a join with the JSON would read the whole table as long as PostgreSQL has no statistics of it. */
  async #writeTogether(db: Kysely<Schema>, given: readonly PositionedEvent[]): Promise<void> {
    const ids = given.map(({ id }) => id);
    const bodies = JSON.stringify(Object.fromEntries(given.map(({ id, position, body }) => [id, { position, body }])));
    const set = sql`position = (bodies -> id ->> 'position')::bigint, body = bodies -> id ->> 'body', "givenAt" = ${this.#options.now()}`;
    await sql`update events set ${set}, upload = null from (select ${bodies}::jsonb as bodies) as given
      where id = any(${ids}::text[]) and events.position is null`.execute(db);
  }

  /** Reads events after a position, in order. */
  async read(after: number, limit: number): Promise<LoggedEvent[]> {
    const { db, dialect } = this.#options.engine;
    let query = db.selectFrom('events').select(['position', 'id', 'type', 'uploadId', 'body']).where('position', '>', after);
    if (dialect === 'sqlite') query = query.where('position', '<=', this.#durable);
    return this.withBodies((await query.orderBy('position').limit(limit).execute()) as (LoggedEvent & { body: string | null })[]);
  }

  /**
   * Completes events that have no body yet. Their bodies are written before they are returned, so that every delivery has the same.
   * @throws when the ledger cannot write them
   */
  async withBodies<E extends { position: number; body: string | null }>(events: readonly E[]): Promise<(E & { body: string })[]> {
    const { engine } = this.#options;
    const { rollbacks } = engine;
    const complete: (E & { body: string })[] = [];
    let isAnyNew = false;
    for (const event of events) {
      isAnyNew ||= event.body === null;
      const body = event.body ?? (await this.#makeBody(event.position));
      // An event without a body was deleted meanwhile.
      if (body !== null) complete.push({ ...event, body });
    }
    if (isAnyNew) await engine.flush();
    if (engine.rollbacks !== rollbacks) throw new Error('The ledger rolled back the bodies of events.');
    return complete;
  }

  async #makeBody(position: number): Promise<string | null> {
    const { db } = this.#options.engine;
    const bare = db.selectFrom('events').select(['id', 'type', 'at', 'upload']).where('position', '=', position);
    const { upload = null, ...event } = (await bare.executeTakeFirst()) ?? {};
    const made = upload === null ? null : this.#options.bodyOf({ ...(event as Omit<NewEvent, 'upload'>), upload });
    // Another reader may have written the body meanwhile.
    const write = db.updateTable('events').set((row) => ({ body: row.fn.coalesce('body', row.val(made)), upload: null }));
    return (await write.where('position', '=', position).returning('body').executeTakeFirst())?.body ?? null;
  }

  /** The last position that readers may see. */
  async last(): Promise<number> {
    const { db, dialect } = this.#options.engine;
    return dialect === 'sqlite' ? this.#durable : lastPosition(db);
  }

  /**
   * Checks a position that a reader sends.
   * @throws UploadError ERR_EVENTS_FORGOTTEN when events after it were deleted; ERR_BAD_REQUEST when it was never assigned
   */
  async requireKnown(after: number): Promise<void> {
    const { db } = this.#options.engine;
    if (after > 0 && after < Number((await factOf(db, FORGOTTEN)) ?? 0)) throw new UploadError('ERR_EVENTS_FORGOTTEN');
    const furthest = Math.max(Number((await factOf(db, FLOOR)) ?? 0), await lastPosition(db));
    if (!Number.isSafeInteger(after) || after < 0 || after > furthest) {
      throw new UploadError('ERR_BAD_REQUEST', { detail: 'There is no event at this position.' });
    }
  }

  /**
   * Deletes events that got their position before `givenBefore` and have no pending delivery. The last event stays, because the next
   * position is counted from it. Resolves to the number of deleted events.
   * @param cursor position of the consumer that is furthest behind
   */
  async forget(givenBefore: number, cursor: number): Promise<number> {
    const { db } = this.#options.engine;
    const last = await lastPosition(db);
    let forgotten = 0;
    for (let after = 0; ; ) {
      const page = await db
        .selectFrom('events')
        .select(['position', 'givenAt'])
        .select((row) => row.exists(pendingAt(row.ref('events.position'))).as('isPending'))
        .where('position', '>', after)
        .orderBy('position')
        .limit(PAGE)
        .execute();
      const old = page.filter(({ position, givenAt }) => position !== last && (position ?? 0) <= cursor && (givenAt ?? 0) < givenBefore);
      const gone = old.filter(({ isPending }) => !isPending).map(({ position }) => position ?? 0);
      const highest = gone.at(-1);
      if (highest !== undefined) {
        // Written before the deletion, so that a reader further behind gets ERR_EVENTS_FORGOTTEN.
        await rememberHighest(db, FORGOTTEN, highest);
        await db.deleteFrom('deliveries').where('position', 'in', gone).execute();
        await db.deleteFrom('events').where('position', 'in', gone).execute();
        forgotten += gone.length;
      }
      if (old.length < PAGE) return forgotten;
      after = old.at(-1)?.position ?? after;
    }
  }
}

/**
 * Call after restoring a backup: the replaced ledger may have assigned positions that the backup does not know, and readers may
 * have kept them. Makes all new positions higher than those. Durable.
 */
export async function skipEventPositions(engine: Engine): Promise<void> {
  const { db } = engine;
  const floor = Number((await factOf(db, FLOOR)) ?? 0);
  await rememberHighest(db, FLOOR, Math.max(floor, await lastPosition(db)) + LEAP);
  await engine.flush();
}

async function newEvents(db: Kysely<Schema>): Promise<NewEvent[]> {
  const query = db.selectFrom('events').select(['id', 'type', 'at', 'upload']).where('position', 'is', null);
  return (await query.orderBy('number').limit(PAGE).execute()) as NewEvent[];
}

async function lastPosition(db: Kysely<Schema>): Promise<number> {
  const last = db.selectFrom('events').select('position').where('position', '>', 0).orderBy('position', 'desc').limit(1);
  return (await last.executeTakeFirst())?.position ?? 0;
}

function pendingAt(position: unknown) {
  return sql<{ one: number }>`(select 1 as one from deliveries where deliveries.position = ${position} and deliveries.state = 'pending')`;
}

async function factOf(db: Kysely<Schema>, key: string): Promise<string | undefined> {
  return (await db.selectFrom('facts').select('value').where('key', '=', key).executeTakeFirst())?.value;
}

async function rememberHighest(db: Kysely<Schema>, key: string, value: number): Promise<void> {
  if (Number((await factOf(db, key)) ?? 0) >= value) return;
  await db
    .insertInto('facts')
    .values({ key, value: String(value) })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value: String(value) }))
    .execute();
}
