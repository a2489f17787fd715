// Checks at the start that PostgreSQL can hold the ledger, and says what the operator has to change.
import { sql } from 'kysely';
import { DatabaseError } from 'pg';
import { DatabaseUnusable } from './database-unusable.ts';
import type { Engine } from './engine.ts';

const LEAST_VERSION = 13;

interface Facts {
  version: number;
  isStandby: boolean;
  mayMakeTables: boolean;
}

/** @throws DatabaseUnusable */
export async function requireUsable({ db }: Engine): Promise<void> {
  const { rows } = await sql<Facts>`
    select current_setting('server_version_num')::int / 10000 as "version",
      pg_is_in_recovery() as "isStandby",
      to_regclass('uploads') is not null or coalesce(has_schema_privilege(current_schema(), 'create'), false) as "mayMakeTables"`
    .execute(db)
    .catch((error: unknown) => {
      throw explain(error);
    });
  const [facts] = rows;
  if (facts === undefined || facts.version < LEAST_VERSION) {
    throw new DatabaseUnusable(`The ledger needs PostgreSQL ${LEAST_VERSION} or newer; this is ${facts?.version}.`);
  }
  if (facts.isStandby) throw new DatabaseUnusable('LANDFALL_DATABASE_URL names a standby, which only reads. Name the primary.');
  if (!facts.mayMakeTables) {
    throw new DatabaseUnusable('The role in LANDFALL_DATABASE_URL may not make tables. Let it own its database, or a schema.');
  }
}

/** Advice by PostgreSQL's error codes (its appendix A), for errors that an operator has to mend. */
const ADVICE = new Map([
  ['28P01', 'Look at the role and the password in LANDFALL_DATABASE_URL.'],
  ['28000', 'Look at the role in LANDFALL_DATABASE_URL, and at pg_hba.conf.'],
  ['3D000', 'Make it, or look at the name in LANDFALL_DATABASE_URL.'],
]);

function explain(error: unknown): DatabaseUnusable {
  const message = error instanceof Error ? messageOf(error) : String(error);
  const advice = error instanceof DatabaseError ? ADVICE.get(error.code ?? '') : undefined;
  if (advice) return new DatabaseUnusable(`PostgreSQL refuses: ${message}. ${advice}`, { cause: error });
  if (error instanceof DatabaseError)
    return new DatabaseUnusable(`PostgreSQL can't be used now: ${message}.`, { isMistake: false, cause: error });
  const sentence = `PostgreSQL can't be reached: ${message}. Look at LANDFALL_DATABASE_URL.`;
  return new DatabaseUnusable(sentence, { isMistake: false, cause: error });
}

/** For a host with several addresses, Node throws an AggregateError without a message of its own. */
function messageOf(error: Error): string {
  const [first] = error instanceof AggregateError ? error.errors : [];
  return first instanceof Error ? first.message : error.message;
}
