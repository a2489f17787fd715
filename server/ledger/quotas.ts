// Quotas: the limits of unfinished, reserved and stored bytes for each sender and for the disk, beside the counters that triggers keep.
import { type Selectable, sql } from 'kysely';
import { RECEIVING } from './conditions.ts';
import type { Engine } from './engine.ts';
import { EXCEEDED, SCOPE_KINDS } from './quota-triggers.ts';
import type { QuotaTable } from './schema.ts';

/** The limit that a change would have exceeded. */
export type Exceeded = (typeof EXCEEDED)[number];

/** The limits of one sender or of the disk; null: none. The limits of a credential are in the rows of its uploads. */
export type QuotaLimits = Pick<QuotaTable, 'maxUnfinished' | 'maxReservedBytes' | 'maxStoredBytes'>;
export type Quota = Readonly<Selectable<QuotaTable>>;

export const UNLIMITED: QuotaLimits = Object.freeze({
  maxUnfinished: null,
  maxReservedBytes: null,
  maxStoredBytes: null,
});

/** Scope of the disk with the staged bytes. */
export const VOLUME = 'volume';

/** The change was undone, because it would have exceeded a limit. */
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

/** The exceeded limit, if that is why a statement failed. */
export function quotaFault(error: unknown): QuotaExceeded | undefined {
  const [, scope, exceeded] = (error instanceof Error ? MESSAGE.exec(error.message) : undefined) ?? [];
  return scope === undefined ? undefined : new QuotaExceeded(scope as QuotaExceeded['scope'], exceeded as Exceeded, error);
}

/** Scopes of addresses are deleted by `prune`, also in other processes, but not before `KEEP_MS`. */
const ADDRESS = 'address:';

/** Bytes of an unfinished upload that are certainly stored. An upload under inspection has all of them. */
const storedBytes = sql<number>`case when state = 'inspecting' then length else "provenOffset" end`;

/**
 * A creation writes the limits of its scope, and then its row. Until then the scope may count nothing: without it, the row would be
 * counted in a new scope that has no limits. Also covers the difference of the clocks of several processes.
 */
const KEEP_MS = 600_000;

/** For this long, this process does not write the same limits again. Another process may have written others meanwhile. */
const REMEMBER_MS = 1000;

/** Number of scopes for which this process remembers the limits that it wrote. */
const MAX_KNOWN = 10_000;

export class Quotas {
  readonly #engine: Engine;
  readonly #now: () => number;
  /** The limits that this process wrote last, by scope, and when, by its monotonic clock. */
  readonly #known = new Map<string, { text: string; writtenMs: number }>();

  /** @param now the ledger's clock */
  constructor(engine: Engine, now: () => number) {
    this.#engine = engine;
    this.#now = now;
  }

  async get(scope: string): Promise<Quota | undefined> {
    return this.#engine.db.selectFrom('quotas').selectAll().where('scope', '=', scope).executeTakeFirst();
  }

  /**
   * Sets the limits for all later changes. They are as durable as any such change. Callers set them before each creation.
   * @param isSure true: writes them even if this process has just done so. Do this before a refusal: another process may have other limits
   * @throws when they were, or may have been, rolled back
   */
  async limit(scope: string, limits: QuotaLimits, isSure = false): Promise<void> {
    const text = JSON.stringify(Object.values(limits));
    const known = this.#known.get(scope);
    if (!isSure && known?.text === text && performance.now() - known.writtenMs < REMEMBER_MS) return;
    const written = { ...limits, limitedAt: this.#now() };
    const { rollbacks } = this.#engine;
    await this.#engine.db
      .insertInto('quotas')
      .values({ scope, unfinished: 0, reservedBytes: 0, storedBytes: 0, uploads: 0, bytes: 0, ...written })
      .onConflict((conflict) => conflict.column('scope').doUpdateSet(written))
      .execute();
    // Without them, the creation would be counted in a scope that has no limits. So it waits, and fails if they do not stay.
    await this.#engine.committed();
    if (this.#engine.rollbacks !== rollbacks) throw new Error('The ledger rolled the limits back.');
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(scope, { text, writtenMs: performance.now() });
  }

  /** Bytes of unfinished uploads that are certainly on the disk. */
  async provenBytes(): Promise<number> {
    const { db } = this.#engine;
    const row = await db
      .selectFrom('uploads')
      .select((uploads) => uploads.fn.sum<number | string | null>(storedBytes).as('bytes'))
      .where('state', 'in', ['receiving', 'inspecting'])
      .where('onVolume', '=', 1)
      .executeTakeFirst();
    return Number(row?.bytes ?? 0);
  }

  /** Releases expired reservations, down to the proven bytes of each upload. Resolves to the number of uploads it looked at. */
  async releaseExpired(now: number, limit: number): Promise<number> {
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
    // One row in each statement: two statements that change several counters each could deadlock.
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

  /** Deletes scopes of addresses that count nothing, and in which no upload is being created. Other scopes are too few to matter. */
  async prune(): Promise<void> {
    await this.#engine.db
      .deleteFrom('quotas')
      .where('scope', 'like', `${ADDRESS}%`)
      .where('unfinished', '=', 0)
      .where('storedBytes', '=', 0)
      .where((row) => row.or([row('limitedAt', 'is', null), row('limitedAt', '<', this.#now() - KEEP_MS)]))
      .execute();
  }
}
