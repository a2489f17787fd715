// Credentials: keys, upload links, and revoked grants. A row is never deleted, so that a server does not become open to everyone
// when its last key is removed.
import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { CompiledQuery, Selectable } from 'kysely';
import { DurableChanges } from './durable-changes.ts';
import type { Engine } from './engine.ts';
import { type Limits, limitsOf } from './limits.ts';
import type { CredentialTable } from './schema.ts';

export type CredentialKind = CredentialTable['kind'];

export interface Credential extends Omit<Readonly<Selectable<CredentialTable>>, 'limits'> {
  readonly limits: Limits;
}

/** What the issuer chooses for a new credential. */
export interface NewCredential {
  owner: string;
  title: string;
  limits: Limits;
  /** Expiry, by the wall clock; null: never. */
  endsAt: number | null;
}

/** The prefix of each kind of token. No prefix is a prefix of another. */
export const TOKEN_PREFIXES = { key: 'lf_', link: 'lfl_' } as const;
type SecretKind = keyof typeof TOKEN_PREFIXES;

const ID_BYTES = 6;
/** 192 random bits cannot be guessed, so a fast hash is enough. */
const SECRET_BYTES = 24;
const TOKEN = new RegExp(`^([a-z]+_)([0-9a-f]{${ID_BYTES * 2}})[0-9a-f]{${SECRET_BYTES * 2}}$`);

/** The id of the credential that a token names; undefined when the token does not have the form of this kind. */
export function credentialOfToken(kind: SecretKind, token: string): string | undefined {
  const [, prefix, id] = TOKEN.exec(token) ?? [];
  return prefix === TOKEN_PREFIXES[kind] ? `${kind}:${id}` : undefined;
}

/** True for the credential's own token. Compares in constant time. */
export function isTokenOf({ secretHash }: Pick<Credential, 'secretHash'>, token: string): boolean {
  const known = Buffer.from(secretHash, 'hex');
  const shown = hash('sha256', token, 'buffer');
  return known.length === shown.length && timingSafeEqual(known, shown);
}

export class Credentials {
  readonly #engine: Engine;
  readonly #durable: DurableChanges;
  /** Compiled once: every upload of a grant, key or link asks before its verdict. */
  #select: CompiledQuery<Selectable<CredentialTable>> | undefined;

  constructor(engine: Engine) {
    this.#engine = engine;
    this.#durable = new DurableChanges(engine);
  }

  /** Durable. The token is returned only here: the ledger keeps nothing but its hash. */
  async add(kind: SecretKind, { owner, title, limits, endsAt }: NewCredential): Promise<{ id: string; token: string }> {
    const name = randomBytes(ID_BYTES).toString('hex');
    const token = `${TOKEN_PREFIXES[kind]}${name}${randomBytes(SECRET_BYTES).toString('hex')}`;
    const id = `${kind}:${name}`;
    const secretHash = hash('sha256', token, 'hex');
    const row = { id, kind, owner, secretHash, title, limits: JSON.stringify(limits), createdAt: Date.now(), endsAt, removedAt: null };
    await this.#change(() => this.#engine.db.insertInto('credentials').values(row).executeTakeFirst());
    return { id, token };
  }

  async get(id: string): Promise<Credential | undefined> {
    this.#select ??= this.#engine.db.selectFrom('credentials').selectAll().where('id', '=', id).compile();
    const { rows } = await this.#engine.execute<Selectable<CredentialTable>>({ ...this.#select, parameters: [id] });
    return rows[0] && toCredential(rows[0]);
  }

  /** Oldest first, revoked ones included. */
  async list(kind: CredentialKind): Promise<Credential[]> {
    const { db } = this.#engine;
    const rows = await db.selectFrom('credentials').selectAll().where('kind', '=', kind).orderBy('createdAt').orderBy('id').execute();
    return rows.map(toCredential);
  }

  /** True when the ledger has or had a credential of this kind, revoked ones included. */
  async hasEverHad(kind: CredentialKind): Promise<boolean> {
    const { db } = this.#engine;
    const query = db.selectFrom('credentials').select('id').where('kind', '=', kind).limit(1);
    return (await query.executeTakeFirst()) !== undefined;
  }

  /** Revokes a credential. Durable. Resolves to false when there is no such valid credential. */
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

  /** Revokes a grant, by adding its row: a valid grant has none. Durable and idempotent. */
  async revokeGrant(jti: string): Promise<void> {
    const now = Date.now();
    const noSecret = { owner: '', secretHash: '', title: '', limits: '{}' };
    const row = { id: `grant:${jti}`, kind: 'grant', ...noSecret, createdAt: now, endsAt: null, removedAt: now } as const;
    await this.#change(() =>
      this.#engine.db
        .insertInto('credentials')
        .values(row)
        .onConflict((conflict) => conflict.column('id').doNothing())
        .executeTakeFirst(),
    );
  }

  /** Resolves when the change is durable. */
  #change<T extends object>(change: () => Promise<T>): Promise<T> {
    return this.#durable.persist(change, true);
  }
}

function toCredential(row: Readonly<Selectable<CredentialTable>>): Credential {
  return { ...row, limits: limitsOf(row) };
}
