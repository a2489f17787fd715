// LISTEN and NOTIFY: one connection listens, and what is told goes out in batches beside the ledger's own statements, not in
// their transactions. PostgreSQL commits those that notify one after the other, and waits for the disk in between.
import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { sql } from 'kysely';
import { Client } from 'pg';
import type { Logger } from 'pino';
import { pause } from '../runtime/pause.ts';
import { DatabaseUnusable } from './database-unusable.ts';
import type { Engine } from './engine.ts';
import type { Notice, Notices } from './notices.ts';
import { connection } from './postgres.ts';
import type { UploadId } from './upload-id.ts';

/** What a notice looks like: anybody who may connect to the database can send whatever they like. */
const NOTICE = /^(state|want|free) (\S+)$/;
/** A payload has at most 7,999 bytes; one notice takes 38. */
const PER_MESSAGE = 200;
/** A connection that says nothing may be dead; a proxy may have dropped it. */
const HEARTBEAT_MS = 15_000;
const RECONNECT_MS = 250;
/** It takes milliseconds, where it comes at all. */
const ECHO_MS = 10_000;

export class PostgresNotices implements Notices {
  readonly #url: string;
  readonly #engine: Engine;
  readonly #log: Logger;
  readonly #self = randomBytes(4).toString('hex');
  readonly #heard = new EventEmitter().setMaxListeners(0);
  readonly #closing = new AbortController();
  readonly #outbox = new Set<string>();
  #channel = '';
  #sending: Promise<void> | undefined;
  #listening: Promise<void> = Promise.resolve();

  constructor(url: string, engine: Engine, log: Logger) {
    this.#url = url;
    this.#engine = engine;
    this.#log = log;
  }

  /** @throws when the first connection can't be made; DatabaseUnusable when it hears nothing */
  async start(): Promise<void> {
    this.#channel = await this.#findChannel();
    const client = await this.#connect();
    await this.#requireEcho(client).catch(async (error) => {
      await client.end().catch(() => undefined);
      throw error;
    });
    this.#listening = this.#listen(client);
  }

  tell(notice: Notice, uploadId: UploadId): void {
    this.#outbox.add(`${notice} ${uploadId}`);
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  on(notice: Notice, listener: (uploadId: UploadId) => void): () => void {
    this.#heard.on(notice, listener);
    return () => this.#heard.off(notice, listener);
  }

  onGap(listener: () => void): () => void {
    this.#heard.on('gap', listener);
    return () => this.#heard.off('gap', listener);
  }

  async close(): Promise<void> {
    await this.#sending;
    this.#closing.abort();
    await this.#listening;
  }

  async #send(): Promise<void> {
    while (this.#outbox.size > 0) {
      // What else this turn of the event loop has to tell goes along.
      await new Promise((resolve) => setImmediate(resolve));
      const batch = [...this.#outbox].slice(0, PER_MESSAGE);
      for (const told of batch) this.#outbox.delete(told);
      const payload = [this.#self, ...batch].join(',');
      // It is a commit as any other, and nobody need wait until a hint is on the disk.
      await sql`select set_config('synchronous_commit', 'off', true), pg_notify(${this.#channel}, ${payload})`
        .execute(this.#engine.db)
        .catch((error: unknown) => {
          this.#log.debug({ err: error }, 'a notice was not sent');
        });
    }
  }

  /** One for each ledger: a database may hold several, each in a schema of its own, and a channel belongs to the database. */
  async #findChannel(): Promise<string> {
    const { rows } = await sql<{ schema: string }>`
      select coalesce((select relnamespace::regnamespace::text from pg_class where oid = to_regclass('uploads')), current_schema()) as schema`.execute(
      this.#engine.db,
    );
    return channelOf(rows[0]?.schema ?? '');
  }

  async #connect(): Promise<Client> {
    const client = new Client({ ...connection(this.#url), query_timeout: HEARTBEAT_MS, application_name: 'landfall notices' });
    client.on('error', () => undefined);
    client.on('notification', ({ payload = '' }) => this.#hear(payload));
    try {
      await client.connect();
      await client.query(`listen ${client.escapeIdentifier(this.#channel)}`);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  /** A pooler that lends a session for one transaction takes the LISTEN, and nothing is ever heard of it. */
  async #requireEcho(client: Client): Promise<void> {
    const heard = once(client, 'notification', { signal: AbortSignal.timeout(ECHO_MS) });
    heard.catch(() => undefined);
    // By another connection than the one that listens: a pooler may well have lent both the same session.
    await sql`select pg_notify(${this.#channel}, ${this.#self})`.execute(this.#engine.db);
    await heard.catch((cause: unknown) => {
      throw new DatabaseUnusable(
        'NOTIFY does not reach who LISTENs by LANDFALL_DATABASE_URL. Of a pooler between (PgBouncer) ask for sessions, not transactions; or name PostgreSQL itself.',
        { cause },
      );
    });
  }

  async #listen(first: Client): Promise<void> {
    let client: Client | undefined = first;
    while (!this.#closing.signal.aborted) {
      if (client !== undefined) {
        await this.#untilLost(client);
        await client.end().catch(() => undefined);
      }
      if (!(await pause(RECONNECT_MS, this.#closing.signal))) return;
      client = await this.#connect().catch((error: unknown) => {
        this.#log.warn({ err: error }, 'the ledger does not answer');
        return undefined;
      });
      if (client !== undefined) this.#heard.emit('gap');
    }
    await client?.end().catch(() => undefined);
  }

  async #untilLost(client: Client): Promise<void> {
    const lost = new AbortController();
    const stop = () => lost.abort();
    client.once('end', stop);
    this.#closing.signal.addEventListener('abort', stop);
    try {
      while (await pause(HEARTBEAT_MS, lost.signal)) await client.query('select 1');
    } catch {
      // The next one will be better.
    } finally {
      this.#closing.signal.removeEventListener('abort', stop);
    }
  }

  #hear(payload: string): void {
    const [from, ...told] = payload.split(',');
    if (from === this.#self) return;
    for (const text of told) {
      const [, notice, uploadId] = NOTICE.exec(text) ?? [];
      // Never an event that the emitter gives a meaning, such as `error`, which would end the process.
      if (notice !== undefined) this.#heard.emit(notice, uploadId);
    }
  }
}

/** The channel of the ledger in a schema. The name of one has at most 63 bytes, as that of a schema has: so it carries its hash. */
export function channelOf(schema: string): string {
  return `landfall_${createHash('sha256').update(schema).digest('hex').slice(0, 16)}`;
}
