// Start, drain and shutdown, in an application or alone.
import { once } from 'node:events';
import { chmodSync, readdirSync, statSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import express from 'express';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createLandfall, LedgerInUse } from '../../server/index.ts';
import { LedgerTooNew } from '../../server/ledger/migrate.ts';
import { OFFSET_CONTENT_TYPE } from '../../shared/protocol.ts';
import { crc32Of, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { SLOW_BYTES, slowDownload } from '../support/slow-download.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { PATIENT } from './patient.ts';

function landfallIn(dataDir: string) {
  const landfall = createLandfall({ dataDir, logLevel: 'silent' });
  onTestFinished(() => landfall.close());
  return landfall;
}

describe('start and close', () => {
  it('may be called again, also concurrently', async () => {
    const landfall = landfallIn(testDirectory());
    await Promise.all([landfall.start(), landfall.start()]);
    await landfall.start();
    await Promise.all([landfall.close(), landfall.close()]);
    await landfall.close();
  });

  it('refuses a data directory that another server serves, and accepts it once that one has ended', async () => {
    const dataDir = testDirectory();
    const first = landfallIn(dataDir);
    await first.start();
    const second = landfallIn(dataDir);
    await expect(second.start()).rejects.toThrow(LedgerInUse);
    await first.close();
    await second.start();
  });

  it('refuses a ledger that is newer than the program', async () => {
    const dataDir = join(testDirectory(), 'data');
    const first = landfallIn(dataDir);
    await first.start();
    await first.close();
    const ledger = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
    ledger.exec("insert into kysely_migration values ('9999-from-the-future', '2999-01-01T00:00:00.000Z')");
    ledger.close();
    await expect(landfallIn(dataDir).start()).rejects.toThrow(LedgerTooNew);
  });

  it('makes the ledger private on the machine, in any directory, also a ledger that was readable before', async () => {
    const dataDir = testDirectory();
    chmodSync(dataDir, 0o777);
    const modes = () => {
      const files = readdirSync(dataDir).filter((name) => statSync(join(dataDir, name)).isFile());
      return files.map((name) => `${name} ${(statSync(join(dataDir, name)).mode & 0o7).toString(8)}`);
    };
    const before = process.umask(0);
    try {
      const landfall = landfallIn(dataDir);
      await landfall.start();
      expect(modes()).toEqual(expect.arrayContaining(['ledger.sqlite 0', 'ledger.sqlite-wal 0', 'server.lock 0']));
      expect(modes().every((mode) => mode.endsWith(' 0'))).toBe(true);
      await landfall.close();
      for (const name of ['ledger.sqlite', 'server.lock']) chmodSync(join(dataDir, name), 0o666);
      const again = landfallIn(dataDir);
      await again.start();
      expect(modes().every((mode) => mode.endsWith(' 0'))).toBe(true);
    } finally {
      process.umask(before);
    }
  });

  it('accepts frozen settings', async () => {
    const dataDir = testDirectory();
    const { landfall } = await embedLandfall();
    expect(createLandfall(Object.freeze({ dataDir })).config.policy).toEqual(landfall.config.policy);
    expect(createLandfall(landfall.config).config).toBe(landfall.config);
  });

  it('receives an upload again from its first byte when its staged bytes are gone', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(200_000);
    const { url } = await createUpload(server.files, { length: bytes.length, name: 'film.mp4' });
    expect(await patchUpload(url, 0, bytes.subarray(0, 150_000))).toMatchObject({ status: 204 });
    await server.landfall.close();
    await rm(join(server.dataDir, 'staging'), { recursive: true });
    const next = await embedLandfall({ dataDir: server.dataDir });
    const again = url.replace(server.url, next.url);
    expect(await headUpload(again)).toMatchObject({ status: 200, offset: 0 });
    expect(await patchUpload(again, 0, bytes.subarray(0, 100_000))).toMatchObject({ status: 204, offset: 100_000 });
    expect(await patchUpload(again, 100_000, bytes.subarray(100_000))).toMatchObject({ status: 204, offset: 200_000 });
    expect(Buffer.from(await (await fetch(again)).arrayBuffer()).equals(bytes)).toBe(true);
    expect(await readRecord(again)).toMatchObject({ checksum: crc32Of(bytes) });
  });
});

describe('while the server drains', () => {
  it('a running PATCH keeps its bytes, and its sender is told to try again', async () => {
    const server = await embedLandfall();
    const bytes = await videoBytes(200_000);
    const { url } = await createUpload(server.files, { length: bytes.length, name: 'film.mp4' });
    const socket = await openSocket(server.url);
    onTestFinished(() => void socket.destroy());
    let answer = '';
    socket.on('data', (chunk) => {
      answer += chunk;
    });
    const ended = once(socket, 'end');
    socket.write(patchHead(url, 0, 200_000));
    socket.write(bytes.subarray(0, 150_000));
    await vi.waitFor(async () => expect((await readRecord(url)).offset).toBe(150_000), PATIENT);
    const closed = server.landfall.close();
    await ended;
    expect(answer).toMatch(/^HTTP\/1\.1 503 /);
    expect(answer).toMatch(/retry-after: \d/i);
    await closed;
    const next = await embedLandfall({ dataDir: server.dataDir });
    expect((await headUpload(url.replace(server.url, next.url))).offset).toBe(150_000);
    expect((await patchUpload(url.replace(server.url, next.url), 150_000, bytes.subarray(150_000))).status).toBe(204);
  });

  it('new requests are told to try again, HEAD with 423, and no sender waits in vain', async () => {
    const server = await embedLandfall();
    const { url } = await createUpload(server.files, { length: 10, name: 'notes.txt' });
    const waiting = fetch(`${url}/status?wait=50`);
    // The HEAD waits once the server counts its request as running.
    await new Promise((resolve) => setTimeout(resolve, 200));
    await server.landfall.close();
    expect(await (await waiting).json()).toMatchObject({ state: 'receiving' });
    expect(await headUpload(url)).toMatchObject({ status: 423 });
    expect(await patchUpload(url, 0, 'abc')).toMatchObject({ status: 503, code: 'ERR_SHUTTING_DOWN' });
    expect((await headUpload(url)).headers.get('Retry-After')).toBe('2');
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(503);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
  });
});

describe('close, while a download runs', () => {
  async function withDownload(shutdownGrace: string) {
    const server = await embedLandfall({ shutdownGrace });
    const body = Buffer.alloc(SLOW_BYTES, 'a');
    const { url } = await createUpload(server.files, { length: SLOW_BYTES, name: 'long.txt', body });
    return { ...server, download: await slowDownload(url) };
  }

  it('waits for its end, after readers of events were let go', async () => {
    const { landfall, download } = await withDownload('10m');
    const events = landfall.events();
    let isClosed = false;
    const closed = landfall.close().then(() => {
      isClosed = true;
    });
    for await (const _event of events);
    // Without the download, nothing is left that takes so long.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(isClosed).toBe(false);
    expect(await download.finish()).toBe(SLOW_BYTES);
    await closed;
  });

  it('cuts it off at the end of the grace time', async () => {
    const { landfall, download } = await withDownload('1s');
    await landfall.close();
    expect(await download.finish()).toBeLessThan(SLOW_BYTES);
  });
});

describe('a server behind a body parser', () => {
  it('reports a permanent error in the answer and in the log, and says what to mount where', async () => {
    const lines: string[] = [];
    const logger = pino({ level: 'error' }, { write: (line: string) => void lines.push(line) });
    const server = await embedLandfall({}, { logger }, ({ handler }) =>
      express().use(express.json(), express.raw({ type: OFFSET_CONTENT_TYPE }), handler),
    );
    const { url } = await createUpload(server.files, { length: 10, name: 'notes.txt' });
    const answer = await patchUpload(url, 0, 'abc');
    expect(answer).toMatchObject({ status: 400, code: 'ERR_BODY_ALREADY_READ' });
    expect(answer.text).toContain('before any middleware');
    expect(lines).toEqual([expect.stringContaining('ERR_BODY_ALREADY_READ')]);
    expect((await headUpload(url)).offset).toBe(0);
    // A parser reads no request without a body.
    expect(
      (await createUpload(server.files, { length: 10, name: 'notes.txt', headers: { 'Content-Type': 'application/json' } })).status,
    ).toBe(201);
    const direct = await fetch(`${server.url}/get-upload-url`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{}',
    });
    expect([direct.status, (await direct.json()).code]).toEqual([400, 'ERR_BODY_ALREADY_READ']);
  });
});
