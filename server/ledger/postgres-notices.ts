// Notices by LISTEN and NOTIFY. One connection listens. Notices are sent in batches, outside the ledger's transactions, because
// PostgreSQL commits transactions that notify one after the other and waits for the disk in between.
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

/** The form of a notice. Any role that may connect to the database can send any text to the channel. */
const NOTICE = /^(state|want|free) (\S+)$/;
/** A payload has at most 7,999 bytes; one notice takes 38. */
const PER_MESSAGE = 200;
/** A silent connection may be dead (a proxy may have dropped it), so it is checked this often. */
const HEARTBEAT_MS = 15_000;
const RECONNECT_MS = 250;
/** The echo takes milliseconds if it comes at all. */
const ECHO_MS = 10_000;

export class PostgresNotices implements Notices {
  readonly #url: string;
  readonly #engine: Engine;
  readonly #log: Logger;
  readonly #self = randomBytes(4).toString('hex');
  readonly #received = new EventEmitter().setMaxListeners(0);
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

  /** @throws when the first connection can't be made; DatabaseUnusable when it receives no notification */
  async start(): Promise<void> {
    this.#channel = await this.#findChannel();
    const client = await this.#connect();
    await this.#requireEcho(client).catch(async (error) => {
      await client.end().catch(() => undefined);
      throw error;
    });
    this.#listening = this.#listen(client);
  }

  notify(notice: Notice, uploadId: UploadId): void {
    this.#outbox.add(`${notice} ${uploadId}`);
    this.#sending ??= this.#send().finally(() => {
      this.#sending = undefined;
    });
  }

  on(notice: Notice, listener: (uploadId: UploadId) => void): () => void {
    this.#received.on(notice, listener);
    return () => this.#received.off(notice, listener);
  }

  onGap(listener: () => void): () => void {
    this.#received.on('gap', listener);
    return () => this.#received.off('gap', listener);
  }

  async close(): Promise<void> {
    await this.#sending;
    this.#closing.abort();
    await this.#listening;
  }

  async #send(): Promise<void> {
    while (this.#outbox.size > 0) {
      // Notices of the same turn of the event loop join this batch.
      await new Promise((resolve) => setImmediate(resolve));
      const batch = [...this.#outbox].slice(0, PER_MESSAGE);
      for (const notice of batch) this.#outbox.delete(notice);
      const payload = [this.#self, ...batch].join(',');
      // A notice is a hint, so its commit need not wait for the disk.
      await sql`select set_config('synchronous_commit', 'off', true), pg_notify(${this.#channel}, ${payload})`
        .execute(this.#engine.db)
        .catch((error: unknown) => {
          this.#log.debug({ err: error }, 'a notice was not sent');
        });
    }
  }

  /** Each ledger has its own channel: a channel belongs to the database, which may hold several ledgers, each in its own schema. */
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
    client.on('notification', ({ payload = '' }) => this.#receive(payload));
    try {
      await client.connect();
      await client.query(`listen ${client.escapeIdentifier(this.#channel)}`);
      return client;
    } catch (error) {
      await client.end().catch(() => undefined);
      throw error;
    }
  }

  /** A pooler in transaction mode accepts the LISTEN and then never delivers a notification. */
  async #requireEcho(client: Client): Promise<void> {
    const echoed = once(client, 'notification', { signal: AbortSignal.timeout(ECHO_MS) });
    echoed.catch(() => undefined);
    // Through another connection than the one that listens: a pooler in transaction mode may use the same session for both.
    await sql`select pg_notify(${this.#channel}, ${this.#self})`.execute(this.#engine.db);
    await echoed.catch((cause: unknown) => {
      throw new DatabaseUnusable(
        'NOTIFY does not reach LISTEN through LANDFALL_DATABASE_URL. Set the pooler in between (PgBouncer) to session mode, or name PostgreSQL itself.',
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
      if (client !== undefined) this.#received.emit('gap');
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
      // The connection is lost; `#listen` makes a new one.
    } finally {
      this.#closing.signal.removeEventListener('abort', stop);
    }
  }

  #receive(payload: string): void {
    const [from, ...notices] = payload.split(',');
    if (from === this.#self) return;
    for (const text of notices) {
      const [, notice, uploadId] = NOTICE.exec(text) ?? [];
      // NOTICE keeps out names with a meaning to the emitter, such as `error`, which would end the process.
      if (notice !== undefined) this.#received.emit(notice, uploadId);
    }
  }
}

/** The channel of the ledger in a schema. It has the schema's hash, since a channel's name and a schema's each have at most 63 bytes. */
export function channelOf(schema: string): string {
  return `landfall_${createHash('sha256').update(schema).digest('hex').slice(0, 16)}`;
}
