// Counters of uploads and bytes, kept by triggers in the statements that change uploads. So no crash makes them differ from the rows.

/** Names of the limits in the error message of a statement that would exceed one. */
export const EXCEEDED = ['unfinished', 'reservedBytes', 'storedBytes', 'uploads', 'bytes'] as const;

/** An unfinished upload counts from its creation. An accepted upload counts as a use of its credential for ever. */
export const UNFINISHED = (row: string): string => `(${row}.state in ('receiving', 'inspecting'))`;
const KEPT = (row: string) => `${row}.state in ('accepted', 'removed')`;
/** Two lists: SQLite makes a temporary table of a list of more than two values, each time that a trigger runs. */
const USED = (row: string) => `(${UNFINISHED(row)} or ${KEPT(row)})`;

type CounterName = 'unfinished' | 'reservedBytes' | 'storedBytes' | 'uploads' | 'bytes';

/** For each counter, the SQL of a row's share in it. */
export const COUNTERS: Readonly<Record<CounterName, (row: string) => string>> = {
  unfinished: (row: string) => `case when ${UNFINISHED(row)} then 1 else 0 end`,
  reservedBytes: (row: string) => `case when ${UNFINISHED(row)} then ${row}."reservedBytes" else 0 end`,
  storedBytes: (row: string) => `case when ${row}.state = 'accepted' then ${row}.length else 0 end`,
  uploads: (row: string) => `case when ${USED(row)} then 1 else 0 end`,
  bytes: (row: string) => `case when ${KEPT(row)} then ${row}.length when ${UNFINISHED(row)} then ${row}."reservedBytes" else 0 end`,
};
export const COUNTER_NAMES: readonly CounterName[] = Object.keys(COUNTERS) as CounterName[];

export const SCOPE_KINDS = ['credential', 'sender', 'volume'] as const;
type ScopeKind = (typeof SCOPE_KINDS)[number];

interface Limit {
  exceeded: (typeof EXCEEDED)[number];
  /** SQL of the counted number, of a row of `quotas`. */
  counted: string;
  /** Name of the limit. */
  max: string;
}

/** The limits of a credential are in the upload's own row: what its sender presented decides, whatever others present under that id. */
const CREDENTIAL_LIMITS: readonly Limit[] = [
  { exceeded: 'uploads', counted: 'uploads', max: 'maxUploads' },
  { exceeded: 'bytes', counted: 'bytes', max: 'maxBytes' },
];
export const CREDENTIAL_LIMIT_NAMES: readonly string[] = CREDENTIAL_LIMITS.map(({ max }) => max);
/** The server's own limits are in the scope's row of `quotas`. */
const SCOPE_LIMITS: readonly Limit[] = [
  { exceeded: 'unfinished', counted: 'unfinished', max: 'maxUnfinished' },
  { exceeded: 'reservedBytes', counted: '"reservedBytes"', max: 'maxReservedBytes' },
  { exceeded: 'storedBytes', counted: '"storedBytes" + "reservedBytes"', max: 'maxStoredBytes' },
];

/** The scopes in which a row is counted. Each is a row of `quotas`. All statements change them in this order, so that none deadlock. */
export const SCOPES: readonly { kind: ScopeKind; applies: (row: string) => string; scope: (row: string) => string }[] = [
  { kind: 'credential', applies: (row) => `${row}.credential is not null`, scope: (row) => `${row}.credential` },
  { kind: 'sender', applies: (row) => `${row}.quota <> ''`, scope: (row) => `${row}.quota` },
  { kind: 'volume', applies: (row) => `${row}."onVolume" = 1`, scope: () => `'volume'` },
];

const INSERTED = { when: 'true', delta: (name: CounterName) => COUNTERS[name]('new'), row: 'new', grows: 'true' };
/** Deleting the row of an unfinished upload takes the upload out of the counters. An ended upload stays counted as a use. */
const DELETED = {
  when: UNFINISHED('old'),
  delta: (name: CounterName) => `-(${COUNTERS[name]('old')})`,
  row: 'old',
  grows: 'false',
};
const UPDATED = {
  when: `(old.state <> new.state or old."reservedBytes" <> new."reservedBytes")`,
  delta: (name: CounterName) => `(${COUNTERS[name]('new')}) - (${COUNTERS[name]('old')})`,
  row: 'new',
  // Only a growing reservation can exceed a limit: a limit that was lowered must not block a verdict or a release of reserved bytes.
  grows: `new.state = 'receiving' and new."reservedBytes" > old."reservedBytes"`,
};

/** The changes of a row that run a trigger. */
const CHANGES = [
  ['insert', INSERTED],
  ['update of state, "reservedBytes"', UPDATED],
  ['delete', DELETED],
] as const;

/** Creates the table and its triggers, and counts the existing uploads. */
export async function createQuotas(run: (statement: string) => Promise<void>, dialect: 'sqlite' | 'postgres'): Promise<void> {
  const counter = (name: string) => `"${name}" bigint not null default 0`;
  const limits = ['maxUnfinished', 'maxReservedBytes', 'maxStoredBytes', 'maxUploads', 'maxBytes'].map((name) => `"${name}" bigint`);
  await run(`create table quotas (scope text primary key, ${[...COUNTER_NAMES.map(counter), ...limits].join(', ')})`);
  // Existing uploads count for their owners. Their bytes are reserved when their next bytes arrive.
  await run(`update uploads set quota = 'owner:' || owner where owner <> ''`);
  await run(
    `insert into quotas (scope, ${COUNTER_NAMES.map((name) => `"${name}"`).join(', ')})
     select quota, ${COUNTER_NAMES.map((name) => `sum(${COUNTERS[name]('uploads')})`).join(', ')} from uploads where quota <> '' group by quota`,
  );
  for (const [event, how] of CHANGES) {
    const name = triggerName(event);
    if (dialect === 'sqlite') {
      const body = SCOPES.map((scope) => `${sqliteCount(scope, how)} ${how.grows === 'false' ? '' : sqliteLimit(scope, how)}`).join('\n');
      await run(`create trigger ${name} after ${event} on uploads when ${how.when} begin ${body} end`);
    } else {
      const body = SCOPES.map((scope) => postgresScope(scope, how)).join('\n');
      await run(
        `create function ${name}() returns trigger language plpgsql as $$ declare q quotas%rowtype; begin ${body} return null; end $$`,
      );
      await run(`create trigger ${name} after ${event} on uploads for each row when (${how.when}) execute function ${name}()`);
    }
  }
}

/**
 * Replaces the triggers on SQLite by one for each scope, which does not run for rows that the scope does not count: most rows are in one
 * scope or in none.
 */
export async function separateQuotaTriggers(run: (statement: string) => Promise<void>): Promise<void> {
  for (const [event] of CHANGES) await run(`drop trigger ${triggerName(event)}`);
  await createSeparate(run);
}

/** Replaces these triggers by those of today's statements. */
export async function renewQuotaTriggers(run: (statement: string) => Promise<void>): Promise<void> {
  for (const [event] of CHANGES) for (const { kind } of SCOPES) await run(`drop trigger ${triggerName(event)}_${kind}`);
  await createSeparate(run);
}

async function createSeparate(run: (statement: string) => Promise<void>): Promise<void> {
  for (const [event, how] of CHANGES) {
    for (const scope of SCOPES) {
      const when = `${scope.applies(how.row)} and ${how.when}`;
      const limits = how.grows === 'false' ? '' : sqliteLimit(scope, how);
      const body = `${sqliteCount(scope, how)} ${limits}`;
      await run(`create trigger ${triggerName(event)}_${scope.kind} after ${event} on uploads when ${when} begin ${body} end`);
    }
  }
}

function triggerName(event: string): string {
  return `uploads_quota_${event.split(' ', 1)[0]}`;
}

type Scope = (typeof SCOPES)[number];
type Change = Pick<typeof INSERTED, 'delta' | 'row' | 'grows'>;

function upsert({ scope }: Scope, { delta, row }: Change, source: string): string {
  const values = COUNTER_NAMES.map((name) => delta(name)).join(', ');
  const sums = COUNTER_NAMES.map((name) => `"${name}" = quotas."${name}" + excluded."${name}"`).join(', ');
  return `insert into quotas (scope, ${COUNTER_NAMES.map((name) => `"${name}"`).join(', ')}) select ${scope(row)}, ${values} ${source}
    on conflict (scope) do update set ${sums}`;
}

function sqliteCount(scope: Scope, change: Change): string {
  return `${upsert(scope, change, `where ${scope.applies(change.row)}`)};`;
}

/** One look at the scope for all of its limits. */
function sqliteLimit({ kind, applies, scope }: Scope, { row, grows }: Change): string {
  const limits = kind === 'credential' ? CREDENTIAL_LIMITS : SCOPE_LIMITS;
  const maxOf = (name: string) => (kind === 'credential' ? `json_extract(${row}.limits, '$.${name}')` : `"${name}"`);
  const cases = limits.map(
    ({ exceeded, counted, max }) => `when ${counted} > ${maxOf(max)} then raise(abort, 'quota exceeded: ${kind} ${exceeded}')`,
  );
  return `select case ${cases.join(' ')} end from quotas where ${applies(row)} and ${grows} and scope = ${scope(row)};`;
}

function postgresScope(scope: Scope, change: Change): string {
  return `if ${scope.applies(change.row)} then
    ${upsert(scope, change, '')} returning * into q;
    ${change.grows === 'false' ? '' : `if ${change.grows} then ${raisesOnPostgres(`'${scope.kind}'`, limitsOnPostgres(scope, change.row))} end if;`}
  end if;`;
}

/** For each limit of a credential, its name and the SQL of its value in a row's own limits; null in other scopes. */
export function limitsOnPostgres({ kind }: Scope, row: string): Record<string, string> {
  const limit = (name: string) => (kind === 'credential' ? `(${row}.limits::json ->> '${name}')::bigint` : 'null::bigint');
  return Object.fromEntries(CREDENTIAL_LIMITS.map(({ max }) => [max, limit(max)]));
}

/**
 * Raises an error when the row of `quotas` in the variable `q` exceeds a limit.
 * @param kind SQL of the scope's kind
 * @param own for each limit of a credential, the SQL of its value
 */
export function raisesOnPostgres(kind: string, own: Readonly<Record<string, string>>): string {
  const raise = (exceeded: string) => `raise exception 'quota exceeded: % ${exceeded}', ${kind}`;
  const counted = (sql: string) => sql.replace(/"?\b(\w+)"?/g, 'q."$1"');
  return [
    ...CREDENTIAL_LIMITS.map((limit) => `if ${counted(limit.counted)} > ${own[limit.max]} then ${raise(limit.exceeded)}; end if;`),
    ...SCOPE_LIMITS.map((limit) => `if ${counted(limit.counted)} > q."${limit.max}" then ${raise(limit.exceeded)}; end if;`),
  ].join('\n');
}
