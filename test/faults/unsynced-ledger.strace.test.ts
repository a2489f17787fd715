// For a while no sync of the ledger succeeds: no change may be reported to anybody until it is durable. The server still
// answers every request, and acts on a change as soon as it is durable.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { videoBytes } from '../support/content.ts';
import { LandfallProcess } from '../support/landfall-process.ts';
import { randomFrom } from '../support/random.ts';
import { ledgerEvents, ledgerRows } from '../support/sqlite-ledger.ts';
import { Strace } from '../support/strace.ts';
import { temporaryDirectory } from '../support/temp-dir.ts';
import { type Answer, createUpload, headUpload, idOf, patchUpload, terminateUpload } from '../support/tus-requests.ts';
import { resumeInsistently } from './insistent-sender.ts';
import { expectSettled, type Sent, stagedPath } from './truth.ts';

const LENGTH = 300_000;
const HALF = LENGTH / 2;
/** Senders treat a connection that is silent for this long as dead. */
const SILENCE_MS = 30_000;

const data = temporaryDirectory();
const server = new LandfallProcess({ dataDir: data.path, env: { LANDFALL_PATIENCE: '500ms' } });
beforeAll(() => server.start());
afterAll(() => server.kill());

it('the server answers every change to an upload while the ledger can not be synced, and acts on it afterwards', async () => {
  const film = await videoBytes(LENGTH, 1);
  const firstHalf = await videoBytes(LENGTH, 2);
  const whole = await videoBytes(LENGTH, 3);
  const small = await videoBytes(1000, 4);
  const notPng = await videoBytes(LENGTH, 5);
  const create = (name: string, bytes: Buffer<ArrayBuffer>, bodyBytes: number, headers = {}) =>
    createUpload(server.files, { length: bytes.length, name, body: bytes.subarray(0, bodyBytes), headers });
  const createWithKey = (name: string, bytes: Buffer<ArrayBuffer>, bodyBytes: number) =>
    create(name, bytes, bodyBytes, { 'Idempotency-Key': `"${name}"` });
  const [continued, cancelled, refused] = await Promise.all([
    create('film.mp4', film, HALF),
    create('cancelled.mp4', film, HALF),
    createUpload(server.files, { length: LENGTH, name: 'refused.png' }),
  ]);

  const strace = await Strace.attach(server.pid, [{ calls: 'fsync,fdatasync,sync_file_range', effect: 'error=EIO' }], undefined, [
    join(data.path, 'ledger.sqlite-wal'),
    join(data.path, 'ledger.sqlite'),
  ]);
  onTestFinished(() => strace.detach());
  const requests: [string, () => Promise<Answer>][] = [
    ['a chunk', () => patchUpload(continued.url, HALF, film.subarray(HALF, HALF + 1000))],
    ['a DELETE', () => terminateUpload(cancelled.url)],
    ['first bytes that are refused', () => patchUpload(refused.url, 0, notPng.subarray(0, HALF))],
    ['a creation with first bytes', () => createWithKey('first.mp4', firstHalf, HALF)],
    ['a creation with all bytes', () => createWithKey('whole.mp4', whole, LENGTH)],
  ];
  const smallAnswer = answered(create('small.mp4', small, small.length));
  const asked = () => [continued, cancelled, refused].map(({ url }): (typeof requests)[number] => ['a HEAD', () => headUpload(url)]);
  // Repeated requests, too: none may pass for done because its change is in the ledger.
  for (const all of [requests, [...requests, ...asked()]]) {
    const answers = await Promise.all(all.map(async ([what, send]) => [what, await answered(send())] as const));
    for (const [what, answer] of answers) expectRetryLater(what, answer);
  }
  expectRetryLater('a small creation', await smallAnswer);
  expect((await strace.calls()).some((line) => line.includes('INJECTED'))).toBe(true);
  await strace.detach();

  await expect.poll(async () => (await headUpload(cancelled.url)).status, { timeout: SILENCE_MS }).toBe(410);
  await expect.poll(() => existsSync(stagedPath(data.path, idOf(cancelled.url))), { timeout: SILENCE_MS }).toBe(false);
  expect(ledgerEvents(data.path).get(idOf(cancelled.url))).toEqual(['terminated']);
  const sent: Sent[] = [
    { id: idOf(continued.url), name: 'film.mp4', bytes: film, acknowledged: HALF, ending: 'accepted' },
    { id: idOf(refused.url), name: 'refused.png', bytes: notPng, acknowledged: 0, ending: 'rejected' },
  ];
  for (const [name, bytes] of [['first.mp4', firstHalf] as const, ['whole.mp4', whole] as const]) {
    const { status, url, offset = 0 } = await createWithKey(name, bytes, HALF);
    expect(status).toBe(201);
    expect(ledgerRows(data.path).filter(({ originalName }) => originalName === name)).toHaveLength(1);
    sent.push({ id: idOf(url), name, bytes, acknowledged: offset, ending: 'accepted' });
  }
  await Promise.all(sent.map((upload) => resumeInsistently(upload, { random: randomFrom(1), whenOpen: async () => server.files })));
  const smallRow = ledgerRows(data.path).find(({ originalName }) => originalName === 'small.mp4');
  await expectSettled(server, [...sent, { id: smallRow?.id ?? '', name: 'small.mp4', bytes: small, acknowledged: 0, ending: 'accepted' }]);
});

async function answered(answer: Promise<Answer>): Promise<Answer> {
  const inTime = await Promise.race([answer, sleep(SILENCE_MS)]);
  if (inTime === undefined) throw new Error('The server did not answer the sender in time.');
  return inTime;
}

function expectRetryLater(what: string, { status, headers, text }: Answer): void {
  expect(what === 'a HEAD' ? [423] : [423, 503], `${what} was answered ${status} ${text}`).toContain(status);
  expect(headers.get('Retry-After'), what).not.toBeNull();
  expect(text).not.toMatch(/EIO|sync|\//);
}
