// How much may be unfinished, reserved and stored, for each sender and for the disk: the limits, beside the counts that triggers keep.
import { type Selectable, sql } from 'kysely';
import { RECEIVING } from './conditions.ts';
import type { Engine } from './engine.ts';
import { EXCEEDED, SCOPE_KINDS } from './quota-triggers.ts';
import type { QuotaTable } from './schema.ts';

/** Which of its limits a change would have exceeded. */
export type Exceeded = (typeof EXCEEDED)[number];

/** The limits of one scope; null: none. */
export type QuotaLimits = Pick<QuotaTable, 'maxUnfinished' | 'maxReservedBytes' | 'maxStoredBytes' | 'maxUploads' | 'maxBytes'>;
export type Quota = Readonly<Selectable<QuotaTable>>;

export const UNLIMITED: QuotaLimits = Object.freeze({
  maxUnfinished: null,
  maxReservedBytes: null,
  maxStoredBytes: null,
  maxUploads: null,
  maxBytes: null,
});

/** The scope of the disk that all staged bytes share. */
export const VOLUME = 'volume';

/** Nothing was changed: a limit would have been exceeded. */
export class QuotaExceeded extends Error {
  override readonly name = 'QuotaExceeded';
  readonly scope: (typeof SCOPE_KINDS)[number];
  readonly exceeded: Exceeded;

  constructor(scope: QuotaExceeded['scope'], exceeded: Exceeded, cause: unknown) {
    super(`Quota exceeded: ${scope} ${exceeded}.`, { cause });
    this.scope = scope;
    this.exceeded = exceeded;
  }
}

const MESSAGE = new RegExp(`quota exceeded: (${SCOPE_KINDS.join('|')}) (${EXCEEDED.join('|')})`);

/** A statement's fault, where a limit is what it ended with. */
export function quotaFault(error: unknown): QuotaExceeded | undefined {
  const [, scope, exceeded] = (error instanceof Error ? MESSAGE.exec(error.message) : undefined) ?? [];
  return scope === undefined ? undefined : new QuotaExceeded(scope as QuotaExceeded['scope'], exceeded as Exceeded, error);
}

/** Rows of addresses come and go (`prune`), also by other processes. */
const ADDRESS = 'address:';

/** What is inspected is all there. */
const whatIsThere = sql<number>`case when state = 'inspecting' then length else "provenOffset" end`;

/** As many scopes as are remembered to have their limits written down already. */
const MAX_KNOWN = 10_000;

export class Quotas {
  readonly #engine: Engine;
  /** What this process wrote last, by scope. */
  readonly #known = new Map<string, string>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  async get(scope: string): Promise<Quota | undefined> {
    return this.#engine.db.selectFrom('quotas').selectAll().where('scope', '=', scope).executeTakeFirst();
  }

  /** What counts from the next change on. Not durable by itself: it is set again before each creation that it is for. */
  async limit(scope: string, limits: QuotaLimits): Promise<void> {
    const text = JSON.stringify(Object.values(limits));
    if (this.#known.get(scope) === text && !scope.startsWith(ADDRESS)) return;
    await this.#engine.db
      .insertInto('quotas')
      .values({ scope, unfinished: 0, reservedBytes: 0, storedBytes: 0, uploads: 0, bytes: 0, ...limits })
      .onConflict((conflict) => conflict.column('scope').doUpdateSet(limits))
      .execute();
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(scope, text);
  }

  /** Bytes of unfinished uploads that lie on the disk for certain. */
  async provenBytes(): Promise<number> {
    const { db } = this.#engine;
    const row = await db
      .selectFrom('uploads')
      .select((uploads) => uploads.fn.sum<number | string | null>(whatIsThere).as('bytes'))
      .where('state', 'in', ['receiving', 'inspecting'])
      .where('onVolume', '=', 1)
      .executeTakeFirst();
    return Number(row?.bytes ?? 0);
  }

  /** Gives back the room of uploads that brought nothing until it ran out, beyond what they have brought. Resolves with how many were looked at. */
  async lapse(now: number, limit: number): Promise<number> {
    const { db } = this.#engine;
    const due = await db
      .selectFrom('uploads')
      .select('id')
      .where('state', '=', RECEIVING)
      .where('reservedUntil', 'is not', null)
      .where('reservedUntil', '<=', now)
      .orderBy('reservedUntil')
      .orderBy('id')
      .limit(limit)
      .execute();
    // One at a time: of two statements that change several counters each, each could wait for the other.
    for (const { id } of due) {
      await db
        .updateTable('uploads')
        .set((row) => ({ reservedBytes: row.ref('provenOffset'), reservedUntil: null }))
        .where('id', '=', id)
        .where('reservedUntil', '<=', now)
        .where('state', '=', RECEIVING)
        .execute();
    }
    return due.length;
  }

  /** Rows of nobody, which only addresses leave in numbers. */
  async prune(): Promise<void> {
    await this.#engine.db
      .deleteFrom('quotas')
      .where('scope', 'like', `${ADDRESS}%`)
      .where('unfinished', '=', 0)
      .where('storedBytes', '=', 0)
      .execute();
  }
}
