// The least work of an upload with a ledger in PostgreSQL: the bytes, synced, and two transactions, one before the file is published and
// one after. It checks nothing, counts nothing and writes no events.
import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { Pool } from 'pg';
import { DIRECTORY, listen } from './listen.ts';

/** Landfall's default number of connections. */
const pool = new Pool({ connectionString: process.env.BENCH_DATABASE_URL, max: 10 });
const uploads = join(DIRECTORY, 'uploads');
mkdirSync(uploads, { recursive: true });
await pool.query('create table bare (id text primary key, state text not null, length bigint not null)');
listen((request, response) => {
  store(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
});

async function store(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const id = randomUUID();
  const bytes = Buffer.concat((await request.toArray()) as Buffer[]);
  await writeFile(join(uploads, `${id}.part`), bytes, { flush: true });
  await pool.query('insert into bare (id, state, length) values ($1, $2, $3)', [id, 'stored', bytes.byteLength]);
  await rename(join(uploads, `${id}.part`), join(uploads, id));
  await pool.query('update bare set state = $1 where id = $2', ['accepted', id]);
  response.writeHead(201, { Location: `/files/${id}`, 'Upload-Offset': bytes.byteLength }).end();
}
