// Senders that are cut, readers, cancellers and the sweeper work on the same uploads at once. In every order, the offset never
// goes back, no client reads success early, and each upload ends once, with its own bytes or none.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Check } from '../../server/index.ts';
import { filesBelow, sha256, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { type Random, randomFrom } from '../support/random.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { ledgerEvents } from '../support/sqlite-ledger.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { PATIENT } from './patient.ts';

const LENGTH = 60_000;
const isLong = process.env.LANDFALL_TEST_LONG === '1';

interface Subject {
  url: string;
  bytes: Buffer<ArrayBuffer>;
  /** The highest offset acknowledged to any client. */
  confirmed: number;
}

/** Sends a piece, and sometimes leaves in the middle of it. */
async function sendAndMaybeLeave(subject: Subject, random: Random): Promise<void> {
  const { url, bytes } = subject;
  const looked = await headUpload(url);
  if (looked.offset === undefined) return;
  const end = random.fraction() < 0.3 ? LENGTH : Math.min(LENGTH, looked.offset + Math.floor(random.fraction() * 30_000));
  const piece = bytes.subarray(looked.offset, end);
  if (random.fraction() < 0.5) {
    const { status, offset } = await patchUpload(url, looked.offset, piece);
    if (status === 204 && offset !== undefined) await acknowledge(subject, offset);
    return;
  }
  const socket = await openSocket(url);
  socket.write(patchHead(url, looked.offset, piece.length));
  socket.write(piece.subarray(0, Math.ceil(piece.length * random.fraction())));
  await new Promise((resolve) => setTimeout(resolve, random.fraction() * 30));
  if (random.fraction() < 0.5) socket.resetAndDestroy();
  else socket.destroy();
}

async function checkOffset(subject: Subject): Promise<void> {
  const before = subject.confirmed;
  const { status, offset } = await headUpload(subject.url);
  expect(status).toBeOneOf([200, 410, 423]);
  if (offset === undefined) return;
  // The offset confirmed before the request was sent still holds.
  expect(offset).toBeGreaterThanOrEqual(before);
  await acknowledge(subject, offset);
}

async function acknowledge(subject: Subject, offset: number): Promise<void> {
  subject.confirmed = Math.max(subject.confirmed, offset);
  if (offset === LENGTH) expect((await readRecord(subject.url)).state).toBe('accepted');
}

async function useConcurrently(subject: Subject, random: Random, cancels: boolean): Promise<void> {
  for (let round = 0; round < 12; round++) {
    const others = Array.from({ length: 1 + Math.floor(random.fraction() * 3) }, async () => {
      await new Promise((resolve) => setTimeout(resolve, random.fraction() * 20));
      if (random.fraction() < 0.4) await checkOffset(subject);
      else await sendAndMaybeLeave(subject, random);
    });
    if (cancels && random.fraction() < 0.08)
      others.push(terminateUpload(subject.url).then(({ status }) => expect(status).toBeOneOf([204, 403, 410, 423])));
    await Promise.all(others);
  }
  // One last sender completes the upload.
  for (;;) {
    const { status, offset } = await headUpload(subject.url);
    if (status === 410) return;
    if (offset === LENGTH) break;
    if (offset === undefined) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      continue;
    }
    const answer = await patchUpload(subject.url, offset, subject.bytes.subarray(offset));
    expect(answer.status).toBeOneOf([204, 409, 423, 503]);
  }
}

describe('concurrent senders, readers, cancellers and sweeper', () => {
  const SEEDS = isLong ? Array.from({ length: 30 }, (_, index) => index + 1) : [1, 2];
  it.for(SEEDS)('end each upload once, with the right bytes (seed %i)', { timeout: 600_000 }, async (seed) => {
    const random = randomFrom(seed);
    const check: Check = {
      name: 'slow and unsteady',
      async run() {
        await new Promise((resolve) => setTimeout(resolve, random.fraction() * 60));
        if (random.fraction() < 0.2) throw new Error('The scanner is away.');
        return undefined;
      },
    };
    const server = await embedLandfall({ patience: 40, sweepInterval: 20, lockTimeout: '3s' }, { checks: [check] });
    const subjects: Subject[] = [];
    for (let n = 0; n < 8; n++) {
      const { url } = await createUpload(server.files, { length: LENGTH, name: `film-${n}.mp4` });
      subjects.push({ url, bytes: await videoBytes(LENGTH, seed * 100 + n), confirmed: 0 });
    }
    await Promise.all(subjects.map((subject, n) => useConcurrently(subject, random, n % 4 === 0)));

    const events = ledgerEvents(server.dataDir);
    const stored = await filesBelow(join(server.dataDir, 'files'));
    for (const { url, bytes } of subjects) {
      const { state } = await readRecord(url);
      expect(state).toBeOneOf(['accepted', 'terminated']);
      expect(events.get(idOf(url))).toEqual([state]);
      const files = stored.filter((path) => path.includes(idOf(url)));
      expect(files).toHaveLength(state === 'accepted' ? 1 : 0);
      for (const path of files) expect(sha256(await readFile(join(server.dataDir, 'files', path)))).toBe(sha256(bytes));
    }
    await vi.waitFor(async () => expect(await filesBelow(join(server.dataDir, 'staging'))).toEqual([]), PATIENT);
  });
});

describe('many senders on one lock', () => {
  it('get 423 while a live sender continues, which loses nothing', async () => {
    const server = await embedLandfall({ lockTimeout: '500ms' });
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const socket = await openSocket(url);
    socket.write(patchHead(url, 0, LENGTH));
    let sent = 0;
    const sending = setInterval(() => {
      if (sent >= LENGTH - 1000) return;
      socket.write(bytes.subarray(sent, sent + 500));
      sent += 500;
    }, 30);
    await vi.waitFor(async () => expect((await readRecord(url)).offset).toBeGreaterThan(0), PATIENT);
    const answers = await Promise.all(Array.from({ length: 20 }, () => patchUpload(url, 0, bytes.subarray(0, 10))));
    expect(answers.map(({ status, code }) => [status, code])).toEqual(Array(20).fill([423, 'ERR_UPLOAD_LOCKED']));
    expect(answers[0]?.headers.get('Retry-After')).toBe('1');
    clearInterval(sending);
    socket.write(bytes.subarray(sent));
    await vi.waitFor(async () => expect((await readRecord(url)).state).toBe('accepted'), { timeout: 60_000 });
    socket.destroy();
    const [stored] = await filesBelow(join(server.dataDir, 'files'));
    expect(sha256(await readFile(join(server.dataDir, 'files', stored ?? '')))).toBe(sha256(bytes));
  });
});
