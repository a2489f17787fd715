// A server is killed, or asked to shut down, while it works.
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { crc32Of, sha256, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { type LandfallProcess, startLandfall } from '../support/landfall-process.ts';
import { head, openSocket, parseAnswer, patchHead } from '../support/raw-http.ts';
import { SLOW_BYTES, slowDownload } from '../support/slow-download.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';

const LENGTH = 2_000_000;

async function start(env: Record<string, string> = {}): Promise<LandfallProcess> {
  const server = await startLandfall({ dataDir: testDirectory(), env });
  onTestFinished(() => server.kill());
  return server;
}

/** Sends the head of a PATCH and half of its body, and no more. */
async function sendHalf(server: LandfallProcess, url: string, offset: number, body: Uint8Array, promised: number) {
  const socket = await openSocket(server.url);
  onTestFinished(() => void socket.destroy());
  const chunks: Buffer[] = [];
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.write(patchHead(url, offset, promised));
  socket.write(body);
  return { socket, closed, answer: () => parseAnswer(Buffer.concat(chunks).toString('latin1')) };
}

async function expectDownload(url: string, bytes: Buffer): Promise<void> {
  expect(sha256(Buffer.from(await (await fetch(url)).arrayBuffer()))).toBe(sha256(bytes));
}

describe('a server that is killed', () => {
  it('during a body resumes from the stored offset, to the same bytes', async () => {
    const server = await start();
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    let acknowledged = 0;
    for (const [from, to] of [
      [0, 300_000],
      [0, 900_000],
      [0, 1_500_000],
    ] as const) {
      const { offset = -1 } = await headUpload(url);
      expect(offset).toBeGreaterThanOrEqual(acknowledged);
      await sendHalf(server, url, offset, bytes.subarray(Math.max(from, offset), to), LENGTH - offset);
      await expect.poll(async () => (await readRecord(url)).offset, { interval: 20 }).toBe(to);
      acknowledged = to;
      await server.kill();
      await server.start();
    }
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 1_500_000 });
    expect(await patchUpload(url, 1_500_000, bytes.subarray(1_500_000))).toMatchObject({ status: 204, offset: LENGTH });
    expect(await readRecord(url)).toMatchObject({ state: 'accepted', checksum: crc32Of(bytes) });
    await expectDownload(url, bytes);
  });

  it('keeps every verdict: accepted, rejected, terminated', async () => {
    const server = await start();
    const bytes = await videoBytes(1000);
    const accepted = await createUpload(server.files, { length: 1000, name: 'film.mp4', body: bytes });
    const rejected = await createUpload(server.files, { length: 1000, name: 'photo.png' });
    const refusal = await patchUpload(rejected.url, 0, bytes);
    expect(refusal).toMatchObject({ status: 422, code: 'ERR_TYPE_MISMATCH' });
    const terminated = await createUpload(server.files, { length: 1000, name: 'film.mp4' });
    await fetch(terminated.url, { method: 'DELETE', headers: { 'Tus-Resumable': '1.0.0' } });
    await server.kill();
    await server.start();
    expect(await headUpload(accepted.url)).toMatchObject({ status: 200, offset: 1000 });
    expect((await patchUpload(rejected.url, 999, bytes.subarray(999))).text).toBe(refusal.text);
    expect(await headUpload(terminated.url)).toMatchObject({ status: 410 });
    expect(idOf(accepted.url)).not.toBe(idOf(rejected.url));
  });

  it('is the only one on its data: a second server is refused with a sentence, and the first keeps serving', async () => {
    const server = await start();
    await expect(startLandfall({ dataDir: server.dataDir })).rejects.toThrow(/Another process serves/);
    expect((await createUpload(server.files, { length: 1, name: 'a.txt' })).status).toBe(201);
  });
});

describe('a server that is asked to shut down', () => {
  it('keeps the bytes of a running body, and exits with 0 within its grace time', async () => {
    const server = await start({ LANDFALL_SHUTDOWN_GRACE: '5s' });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const { closed } = await sendHalf(server, url, 0, bytes.subarray(0, 1_000_000), LENGTH);
    await expect.poll(async () => (await readRecord(url)).offset, { interval: 20 }).toBe(1_000_000);
    expect(await server.stop()).toBe(0);
    await closed;
    expect(server.log.map(({ msg }) => msg)).toContain('stopped');
    await server.start();
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: 1_000_000 });
    expect(await patchUpload(url, 1_000_000, bytes.subarray(1_000_000))).toMatchObject({ status: 204, offset: LENGTH });
    await expectDownload(url, bytes);
  });

  it('lets a running download end, and closes idle connections at once', async () => {
    const server = await start({ LANDFALL_SHUTDOWN_GRACE: '10m' });
    const body = Buffer.alloc(SLOW_BYTES, 'a');
    const { url } = await createUpload(server.files, { length: SLOW_BYTES, name: 'long.txt', body });
    const download = await slowDownload(url);
    const idle = await openSocket(server.url);
    idle.write(head('GET /health/live HTTP/1.1', 'Host: localhost'));
    await once(idle, 'data');
    const closed = once(idle, 'close');
    const stopped = server.stop();
    await closed;
    // Long enough for a server that does not wait.
    await sleep(1500);
    expect(await download.finish()).toBe(SLOW_BYTES);
    expect(await stopped).toBe(0);
    expect(server.log.map(({ msg }) => msg)).toContain('stopped');
  });

  it('answers new requests 503 and HEAD 423 with Retry-After, completes the inspection, and exits', async () => {
    const { promise, resolve: open } = Promise.withResolvers<void>();
    let begun = 0;
    const server = await embedLandfall(
      { patience: 100 },
      {
        checks: [
          {
            name: 'gate',
            async run() {
              begun += 1;
              await promise;
              return undefined;
            },
          },
        ],
      },
    );
    onTestFinished(() => open());
    const bytes = await videoBytes(1000);
    const { url } = await createUpload(server.files, { length: 1000, name: 'film.mp4' });
    const waiting = await createUpload(server.files, { length: 1000, name: 'film.mp4' });
    await patchUpload(url, 0, bytes);
    await expect.poll(() => begun).toBe(1);
    const closing = server.landfall.close();
    const answers = [
      await createUpload(server.files, { length: 1000, name: 'film.mp4' }),
      await patchUpload(waiting.url, 0, bytes),
      await headUpload(waiting.url),
    ];
    expect(answers.map(({ status }) => status)).toEqual([503, 503, 423]);
    for (const { headers } of answers) expect(headers.get('Retry-After')).toMatch(/^\d+$/);
    expect((await fetch(`${server.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${server.url}/health/ready`)).status).toBe(503);
    open();
    await closing;
    await sleep(0);
    const again = await embedLandfall({ dataDir: server.dataDir });
    expect(await readRecord(`${again.files}/${idOf(url)}`)).toMatchObject({ state: 'accepted' });
    expect(begun).toBe(1);
  });
});
