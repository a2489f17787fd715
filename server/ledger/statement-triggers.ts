// Triggers on PostgreSQL that run once for each statement, which may change the rows of many uploads. They write the events of all
// changed rows, then change each counter once. All statements change counters in the same order, so that they never deadlock.
import { type QueryExecutorProvider, sql } from 'kysely';
import type { Migration } from 'kysely/migration';
import { ENDED, EVENT_COLUMNS } from './event-tables.ts';
import {
  COUNTER_NAMES,
  COUNTERS,
  CREDENTIAL_LIMIT_NAMES,
  limitsOnPostgres,
  raisesOnPostgres,
  SCOPES,
  UNFINISHED,
} from './quota-triggers.ts';

/** Replaces the triggers that run for each row. */
export const statementTriggers: Migration = {
  async up(db) {
    for (const name of ['inserted', 'moved', 'deleted', 'quota_insert', 'quota_update', 'quota_delete']) {
      await sql.raw(`drop function uploads_${name}() cascade`).execute(db);
    }
    await createTrigger(db, 'inserted', 'insert', 'referencing new table as added', onInsert());
    await createTrigger(db, 'updated', 'update', 'referencing old table as earlier new table as later', onUpdate());
    await createTrigger(db, 'deleted', 'delete', 'referencing old table as gone', onDelete());
  },
};

/** Gives the triggers the functions of today's statements. */
export async function renewStatementTriggers(db: QueryExecutorProvider): Promise<void> {
  await createFunction(db, 'inserted', onInsert());
  await createFunction(db, 'updated', onUpdate());
  await createFunction(db, 'deleted', onDelete());
}

async function createFunction(db: QueryExecutorProvider, name: string, body: string): Promise<void> {
  const declared = 'declare part record; q quotas%rowtype;';
  await sql
    .raw(
      `create or replace function uploads_${name}() returns trigger language plpgsql as $$ ${declared} begin ${body} return null; end $$`,
    )
    .execute(db);
}

async function createTrigger(db: QueryExecutorProvider, name: string, event: string, tables: string, body: string): Promise<void> {
  await createFunction(db, name, body);
  await sql
    .raw(`create trigger uploads_${name} after ${event} on uploads ${tables} for each statement execute function uploads_${name}()`)
    .execute(db);
}

// `was` and `now` are a row before and after the statement; PostgreSQL reserves `old` and `new` for triggers of single rows.

function onInsert(): string {
  const created = eventOf("'upload.created'", 'now', 'now."createdAt"', 1);
  const ended = eventOf("'upload.' || now.state", 'now', 'now."updatedAt"', 2);
  return `
    ${writeEvents(`${created} from added as now union all ${ended} from added as now where now.state in ${ENDED}`)}
    ${count({ rows: 'added as now', when: 'true', row: 'now', delta: (name) => COUNTERS[name]('now'), grows: 'true' })}`;
}

/** Most updates, such as checkpoints, change no counter and write no event. */
function onUpdate(): string {
  const rows = 'earlier as was join later as now on now.id = was.id';
  const when = '(was.state <> now.state or was."reservedBytes" <> now."reservedBytes")';
  const ended = eventOf("'upload.' || now.state", 'now', 'now."updatedAt"', 1);
  return `
    perform from ${rows} where ${when} limit 1;
    if not found then return null; end if;
    ${writeEvents(`${ended} from ${rows} where now.state in ${ENDED} and now.state <> was.state`)}
    ${count({
      rows,
      when,
      row: 'now',
      delta: (name) => `(${COUNTERS[name]('now')}) - (${COUNTERS[name]('was')})`,
      // Only a growing reservation can exceed a limit: a limit that was lowered must not block a verdict or a release of reserved bytes.
      grows: `now.state = 'receiving' and now."reservedBytes" > was."reservedBytes"`,
    })}`;
}

/** Deleting the row of an unfinished upload takes the upload out of the counters. An ended upload stays counted as a use. */
function onDelete(): string {
  const at = '(extract(epoch from clock_timestamp()) * 1000)::bigint';
  const when = UNFINISHED('was');
  return `
    ${writeEvents(`${eventOf("'upload.terminated'", 'was', at, 1)} from gone as was where ${when}`)}
    ${count({ rows: 'gone as was', when, row: 'was', delta: (name) => `-(${COUNTERS[name]('was')})`, grows: 'false' })}`;
}

function eventOf(type: string, row: string, at: string, step: number): string {
  return `select ${type} as type, ${row}.id as "uploadId", ${at} as at, to_jsonb(${row})::text as upload, ${step} as step`;
}

/** Ids begin with the time, so that new ones are at the end of their index: random ids would each change another page of it. */
function writeEvents(events: string): string {
  const id = `'evt_' || lpad(to_hex(at), 12, '0') || right(replace(gen_random_uuid()::text, '-', ''), 20)`;
  return `insert into events (${EVENT_COLUMNS}) select ${id}, type, "uploadId", at, upload from (${events}) as told order by step;`;
}

interface Change {
  rows: string;
  when: string;
  row: string;
  delta(name: keyof typeof COUNTERS): string;
  grows: string;
}

/**
 * Leaves out counters that do not change, so that the statement does not lock them. Of uploads that have one credential and different
 * limits the lowest counts. When it refuses the statement, each upload is tried by itself.
 */
function count({ rows, when, row, delta, grows }: Change): string {
  const quoted = COUNTER_NAMES.map((name) => `"${name}"`);
  const deltas = COUNTER_NAMES.map((name) => `${delta(name)} as "${name}"`).join(', ');
  const parts = SCOPES.map((counted, rank) => {
    const limits = Object.entries(limitsOnPostgres(counted, row)).map(
      ([name, value]) => `case when ${grows} then ${value} end as "${name}"`,
    );
    return `select ${rank} as rank, '${counted.kind}' as kind, ${counted.scope(row)} as scope, ${grows} as grows, ${limits.join(', ')}, ${deltas}
       from ${rows} where ${when} and ${counted.applies(row)}`;
  });
  const lowest = CREDENTIAL_LIMIT_NAMES.map((name) => `min("${name}") as "${name}"`).join(', ');
  const own = Object.fromEntries(CREDENTIAL_LIMIT_NAMES.map((name) => [name, `part."${name}"`]));
  return `
    for part in
      select kind, scope, bool_or(grows) as grows, ${lowest}, ${quoted.map((name) => `sum(${name})::bigint as ${name}`).join(', ')}
      from (${parts.join(' union all ')}) as parts group by rank, kind, scope
      having bool_or(grows) or ${quoted.map((name) => `sum(${name}) <> 0`).join(' or ')} order by rank, scope
    loop
      insert into quotas (scope, ${quoted.join(', ')}) values (part.scope, ${quoted.map((name) => `part.${name}`).join(', ')})
        on conflict (scope) do update set ${quoted.map((name) => `${name} = quotas.${name} + excluded.${name}`).join(', ')}
        returning * into q;
      if part.grows then ${raisesOnPostgres('part.kind', own)} end if;
    end loop;`;
}
