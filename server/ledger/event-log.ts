// Events in the order in which they are told. A position is given after the commit, by one process at a time, so whoever has read
// up to one has missed nothing: what commits later comes later, whenever its statement began.
import { type Kysely, sql } from 'kysely';
import { UploadError } from '../../shared/errors.ts';
import { briefly } from './brief-transaction.ts';
import type { Engine } from './engine.ts';
import type { EventTable, EventType } from './event-tables.ts';
import type { Schema } from './schema.ts';
import type { UploadId } from './upload-id.ts';

/** Rows in one transaction. */
const PAGE = 200;
/** The highest position that was forgotten. */
const FORGOTTEN = 'eventsForgotten';
/** Positions begin behind it. */
const FLOOR = 'eventsFloor';
/** More events than a back-up is older than what it is restored over. */
const LEAP = 1_000_000_000;
/** With the table's own number: a database may hold several ledgers. */
const LOCK_CLASS = 0x4c414e44;

/** An event that was written and has no position. */
export type NewEvent = Pick<EventTable, 'id' | 'type' | 'at'> & { upload: string };

/** An event as readers see it. */
export interface PlacedEvent {
  position: number;
  id: string;
  type: EventType;
  uploadId: UploadId;
  body: string;
}

export interface EventLogOptions {
  engine: Engine;
  /** The ledger's time. */
  now(): number;
  /** What is told, as JSON. It must not throw: events that come later would wait for ever. */
  bodyOf(event: NewEvent): string;
}

export class EventLog {
  readonly #options: EventLogOptions;
  /** In SQLite this process alone reads, and up to here it will read the same after a power cut. */
  #durable = 0;

  constructor(options: EventLogOptions) {
    this.#options = options;
  }

  /**
   * Gives positions to a page of events that have none, and writes their bodies down with them. Resolves with how many it were.
   * One that dies in between leaves them without, for the next one.
   */
  async give(): Promise<number> {
    const { db, dialect } = this.#options.engine;
    if (dialect === 'sqlite') return this.#giveAlone();
    const isAny = await db.selectFrom('events').select('number').where('position', 'is', null).limit(1).executeTakeFirst();
    if (isAny === undefined) return 0;
    return briefly(this.#options.engine, async (transaction) => {
      await sql`select pg_advisory_xact_lock(${sql.lit(LOCK_CLASS)}, 'events'::regclass::oid::int)`.execute(transaction);
      // By statements that begin now: they see what all who had the lock before have given.
      return this.#giveOn(transaction, await newEvents(transaction));
    });
  }

  /** Only what is durable has a position, and only a position that is durable is told of. */
  async #giveAlone(): Promise<number> {
    const { engine } = this.#options;
    for (;;) {
      const { rollbacks } = engine;
      const found = await newEvents(engine.db);
      await engine.flush();
      if (engine.rollbacks !== rollbacks) continue;
      const given = await this.#giveOn(engine.db, found);
      const last = await lastPosition(engine.db);
      await engine.flush();
      if (engine.rollbacks !== rollbacks) continue;
      this.#durable = last;
      return given;
    }
  }

  async #giveOn(db: Kysely<Schema>, events: readonly NewEvent[]): Promise<number> {
    if (events.length === 0) return 0;
    const { engine, now, bodyOf } = this.#options;
    const floor = Number((await factOf(db, FLOOR)) ?? 0);
    const last = Math.max(floor, await lastPosition(db));
    const given = events.map((event, n) => ({ id: event.id, position: last + 1 + n, body: bodyOf(event) }));
    const json = JSON.stringify(given);
    if (engine.dialect === 'postgres') {
      // Looked up by their ids: of a join the planner would think that it reads the whole table, while nobody has counted it yet.
      const ids = given.map(({ id }) => id);
      const bodies = JSON.stringify(Object.fromEntries(given.map(({ id, position, body }) => [id, { position, body }])));
      await sql`update events set position = (bodies -> id ->> 'position')::bigint, body = bodies -> id ->> 'body', "givenAt" = ${now()}, upload = null
        from (select ${bodies}::jsonb as bodies) as given where id = any(${ids}::text[]) and events.position is null`.execute(db);
      return events.length;
    }
    const from = sql`(select value ->> 'id' as id, value ->> 'position' as position, value ->> 'body' as body from json_each(${json})) as given`;
    await sql`update events set position = given.position, body = given.body, "givenAt" = ${now()}, upload = null
      from ${from} where events.id = given.id and events.position is null`.execute(db);
    return events.length;
  }

  /** In order, after a position. */
  async read(after: number, limit: number): Promise<PlacedEvent[]> {
    const { db, dialect } = this.#options.engine;
    let query = db.selectFrom('events').select(['position', 'id', 'type', 'uploadId', 'body']).where('position', '>', after);
    if (dialect === 'sqlite') query = query.where('position', '<=', this.#durable);
    return (await query.orderBy('position').limit(limit).execute()) as PlacedEvent[];
  }

  /** The last position that was given, and may be read. */
  async last(): Promise<number> {
    const { db, dialect } = this.#options.engine;
    return dialect === 'sqlite' ? this.#durable : lastPosition(db);
  }

  /**
   * Holds a position that a reader has kept against what is kept here.
   * @throws UploadError ERR_EVENTS_FORGOTTEN what came after it is not all here; ERR_BAD_REQUEST: it was never given
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
   * Forgets what was given before `givenBefore`, and is still to be delivered to nobody. The last event stays: the next position
   * comes after it.
   * @param cursor of the reader that is furthest behind
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
        // Said before it is done: a reader that was further behind has to hear of it.
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
 * After a restore: the ledger that was restored may have given positions that this one never heard of. What readers have kept
 * of it must not be beyond what comes now. Durable.
 */
export async function leapEvents(engine: Engine): Promise<void> {
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
  const last = db.selectFrom('events').select('position').where('position', 'is not', null).orderBy('position', 'desc').limit(1);
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
