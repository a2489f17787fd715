// What was given out, or taken back: keys, upload links, and grants that were revoked. A row is never deleted: a server that had a
// key once does not open when the last is removed.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Selectable } from 'kysely';
import { DurableChanges } from './durable-changes.ts';
import type { Engine } from './engine.ts';
import { type Limits, limitsOf } from './limits.ts';
import type { CredentialTable } from './schema.ts';

export type CredentialKind = CredentialTable['kind'];

export interface Credential extends Omit<Readonly<Selectable<CredentialTable>>, 'limits'> {
  readonly limits: Limits;
}

/** What the person who gives it out says of it. */
export interface NewCredential {
  owner: string;
  title: string;
  limits: Limits;
  /** By the wall's clock; null: never. */
  endsAt: number | null;
}

/** What tokens of each kind begin with. No two are the beginning of one another. */
export const TOKEN_PREFIXES = { key: 'lf_', link: 'lfl_' } as const;
type SecretKind = keyof typeof TOKEN_PREFIXES;

const ID_BYTES = 6;
/** Nobody guesses 192 bits, and no slow hash need keep anybody from trying. */
const SECRET_BYTES = 24;
const TOKEN = new RegExp(`^([a-z]+_)([0-9a-f]{${ID_BYTES * 2}})[0-9a-f]{${SECRET_BYTES * 2}}$`);

/** The credential that a token says it is of; undefined: it is no token of this kind, as its form tells. */
export function credentialOfToken(kind: SecretKind, token: string): string | undefined {
  const [, prefix, id] = TOKEN.exec(token) ?? [];
  return prefix === TOKEN_PREFIXES[kind] ? `${kind}:${id}` : undefined;
}

/** Whether the token is the one that the credential was given out as. Takes the same time whatever is wrong with it. */
export function isTokenOf({ secretHash }: Pick<Credential, 'secretHash'>, token: string): boolean {
  const known = Buffer.from(secretHash, 'hex');
  const shown = createHash('sha256').update(token).digest();
  return known.length === shown.length && timingSafeEqual(known, shown);
}

export class Credentials {
  readonly #engine: Engine;
  readonly #durable: DurableChanges;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#durable = new DurableChanges(engine);
  }

  /** Durable. Its token can't be told again: the ledger has its hash alone. */
  async add(kind: SecretKind, { owner, title, limits, endsAt }: NewCredential): Promise<{ id: string; token: string }> {
    const name = randomBytes(ID_BYTES).toString('hex');
    const token = `${TOKEN_PREFIXES[kind]}${name}${randomBytes(SECRET_BYTES).toString('hex')}`;
    const id = `${kind}:${name}`;
    const secretHash = createHash('sha256').update(token).digest('hex');
    const row = { id, kind, owner, secretHash, title, limits: JSON.stringify(limits), createdAt: Date.now(), endsAt, removedAt: null };
    await this.#change(() => this.#engine.db.insertInto('credentials').values(row).executeTakeFirst());
    return { id, token };
  }

  async get(id: string): Promise<Credential | undefined> {
    const row = await this.#engine.db.selectFrom('credentials').selectAll().where('id', '=', id).executeTakeFirst();
    return row && toCredential(row);
  }

  /** Oldest first, those that were taken back among them. */
  async list(kind: CredentialKind): Promise<Credential[]> {
    const { db } = this.#engine;
    const rows = await db.selectFrom('credentials').selectAll().where('kind', '=', kind).orderBy('createdAt').orderBy('id').execute();
    return rows.map(toCredential);
  }

  /** Whether there ever was one of a kind. */
  async hasEverHad(kind: CredentialKind): Promise<boolean> {
    const { db } = this.#engine;
    const query = db.selectFrom('credentials').select('id').where('kind', '=', kind).limit(1);
    return (await query.executeTakeFirst()) !== undefined;
  }

  /** Takes one back. Durable. False: there is none that counts. */
  async remove(id: string): Promise<boolean> {
    const { numUpdatedRows } = await this.#change(() =>
      this.#engine.db
        .updateTable('credentials')
        .set({ removedAt: Date.now() })
        .where('id', '=', id)
        .where('removedAt', 'is', null)
        .executeTakeFirstOrThrow(),
    );
    return numUpdatedRows > 0n;
  }

  /** Takes back a grant, of which the ledger need not have heard. Durable; again, it changes nothing. */
  async revokeGrant(jti: string): Promise<void> {
    const now = Date.now();
    const nobody = { owner: '', secretHash: '', title: '', limits: '{}' };
    const row = { id: `grant:${jti}`, kind: 'grant', ...nobody, createdAt: now, endsAt: null, removedAt: now } as const;
    await this.#change(() =>
      this.#engine.db
        .insertInto('credentials')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirst(),
    );
  }

  /** Resolves once no power cut takes it back. */
  #change<T extends object>(change: () => Promise<T>): Promise<T> {
    return this.#durable.kept(change, true);
  }
}

function toCredential(row: Readonly<Selectable<CredentialTable>>): Credential {
  return { ...row, limits: limitsOf(row) };
}
