// The answers to the held byte when a client sends it again in different ways, before, at and after the verdict.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { Check } from '../../server/index.ts';
import { filesBelow, sha256, sha256OfFile, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { createUpload, headUpload, patchUpload, readRecord, terminateUpload } from '../support/tus-requests.ts';
import { startVerdictServer } from '../support/verdicts.ts';

const LENGTH = 100_000;
const HELD = LENGTH - 1;

/** A long wait for the verdict, for tests of the time after it: a busy machine may need it. */
const UNHURRIED = { patience: '5m' };

/** A check that waits until the test lets the file pass. */
function gate() {
  const { promise, resolve } = Promise.withResolvers<void>();
  let inspections = 0;
  const check: Check = {
    name: 'gate',
    async run() {
      inspections += 1;
      await promise;
      return undefined;
    },
  };
  return { check, open: resolve, inspections: () => inspections };
}

async function startGated(patience: number | string = 300) {
  const { check, open, inspections } = gate();
  let verdicts = 0;
  const server = await embedLandfall(
    { patience },
    {
      checks: [check],
      onEvent: ({ type }) => {
        if (type !== 'upload.created') verdicts += 1;
      },
    },
  );
  const bytes = await videoBytes(LENGTH);
  const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
  return { ...server, open, inspections, bytes, url, verdicts: () => verdicts };
}

describe('an upload under inspection', () => {
  it('holds its last byte back from HEAD and asks the client that resent only that byte to ask again', async () => {
    const { url, bytes, open, inspections } = await startGated();
    const first = await patchUpload(url, 0, bytes);
    // The request carried more than the held byte: the client would take a 204 for a lost chunk.
    expect(first).toMatchObject({ status: 503, code: 'ERR_INSPECTION_PENDING' });
    expect(first.headers.get('Retry-After')).toMatch(/^\d+$/);
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: HELD });
    expect(await patchUpload(url, HELD, bytes.subarray(HELD))).toMatchObject({ status: 204, offset: HELD });
    expect((await readRecord(url)).state).toBe('inspecting');
    open();
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
    expect(await patchUpload(url, HELD, bytes.subarray(HELD))).toMatchObject({ status: 204, offset: LENGTH });
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: LENGTH });
    expect(inspections()).toBe(1);
  });

  it('answers the held byte sent ten times at once with one finish and the same answer', async () => {
    const { url, bytes, open, inspections, verdicts, dataDir } = await startGated(UNHURRIED.patience);
    await patchUpload(url, 0, bytes.subarray(0, HELD));
    const sent = Array.from({ length: 10 }, () => patchUpload(url, HELD, bytes.subarray(HELD)));
    await expect.poll(inspections).toBe(1);
    open();
    const answers = await Promise.all(sent);
    expect(answers.map(({ status, offset }) => `${status} ${offset}`)).toEqual(Array(10).fill(`204 ${LENGTH}`));
    expect(inspections()).toBe(1);
    await expect.poll(verdicts).toBe(1);
    const [file = '', ...others] = await filesBelow(join(dataDir, 'files'));
    expect(others).toEqual([]);
    expect(await sha256OfFile(join(dataDir, 'files', file))).toBe(sha256(bytes));
  });

  it("cannot be terminated, and refuses a held byte that differs as another file's", async () => {
    const { url, bytes, open, inspections } = await startGated();
    await patchUpload(url, 0, bytes);
    await expect.poll(inspections).toBe(1);
    expect(await terminateUpload(url)).toMatchObject({ status: 423, code: 'ERR_INSPECTING' });
    const other = new Uint8Array([(bytes[HELD] ?? 0) ^ 1]);
    expect(await patchUpload(url, HELD, other)).toMatchObject({ status: 422, code: 'ERR_SOURCE_CHANGED' });
    expect(await patchUpload(url, 0, bytes)).toMatchObject({ status: 409, offset: HELD });
    open();
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
    expect(await patchUpload(url, HELD, bytes.subarray(HELD))).toMatchObject({ status: 204, offset: LENGTH });
  });

  it('continues when the client that sent the last byte disconnects', async () => {
    const { url, bytes, open, inspections } = await startGated();
    await patchUpload(url, 0, bytes.subarray(0, HELD));
    const controller = new AbortController();
    const lost = fetch(url, {
      method: 'PATCH',
      headers: { 'Tus-Resumable': '1.0.0', 'Upload-Offset': String(HELD), 'Content-Type': 'application/offset+octet-stream' },
      body: bytes.subarray(HELD),
      signal: controller.signal,
    });
    await expect.poll(inspections).toBe(1);
    controller.abort();
    await expect(lost).rejects.toThrow();
    open();
    await expect.poll(async () => (await readRecord(url)).state).toBe('accepted');
    expect(inspections()).toBe(1);
  });
});

describe('an accepted upload', () => {
  it('acknowledges its last byte again, and an empty PATCH at its end, without a second finish', async () => {
    const server = await startVerdictServer('accept', UNHURRIED);
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    for (let time = 0; time < 3; time++) {
      const from = time === 0 ? 0 : HELD;
      expect(await patchUpload(url, from, bytes.subarray(from))).toMatchObject({ status: 204, offset: LENGTH });
    }
    expect(await patchUpload(url, LENGTH, new Uint8Array())).toMatchObject({ status: 204, offset: LENGTH });
    expect(server.inspections()).toBe(1);
  });

  it('refuses another last byte, another offset and a termination, and keeps its file', async () => {
    const server = await startVerdictServer('accept', UNHURRIED);
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    await patchUpload(url, 0, bytes);
    const other = new Uint8Array([(bytes[HELD] ?? 0) ^ 1]);
    expect(await patchUpload(url, HELD, other)).toMatchObject({ status: 422, code: 'ERR_SOURCE_CHANGED' });
    expect(await patchUpload(url, 5, bytes.subarray(5))).toMatchObject({ status: 409, code: 'ERR_MISMATCHED_OFFSET', offset: LENGTH });
    expect(await terminateUpload(url)).toMatchObject({ status: 403, code: 'ERR_UPLOAD_FINISHED' });
    const download = await fetch(url);
    expect(sha256(Buffer.from(await download.arrayBuffer()))).toBe(sha256(bytes));
    expect(server.inspections()).toBe(1);
  });
});

describe('a rejected upload', () => {
  it('answers any append at any offset with the same verdict, and never shows the whole length', async () => {
    const server = await startVerdictServer('reject', UNHURRIED);
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const first = await patchUpload(url, 0, bytes);
    expect(first).toMatchObject({ status: 422, code: 'ERR_CHECK_REFUSED' });
    expect(first.headers.get('Content-Type')).toContain('application/problem+json');
    for (const offset of [0, 5, HELD, LENGTH]) {
      const again = await patchUpload(url, offset, bytes.subarray(offset));
      expect({ status: again.status, text: again.text }).toEqual({ status: first.status, text: first.text });
    }
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: HELD });
    expect(await fetch(url)).toMatchObject({ status: 404 });
    expect(server.inspections()).toBe(1);
  });
});

describe('a fault of the server during an inspection', () => {
  it('is never a 500 and never loses the upload, however long it lasts', async () => {
    let isAway = true;
    const server = await embedLandfall(
      { patience: 200 },
      {
        checks: [
          {
            name: 'scanner',
            async run() {
              if (isAway) throw new Error('ECONNREFUSED /run/scanner.sock');
              return undefined;
            },
          },
        ],
      },
    );
    const bytes = await videoBytes(LENGTH);
    const { url } = await createUpload(server.files, { length: LENGTH, name: 'film.mp4' });
    const first = await patchUpload(url, 0, bytes);
    expect(first.status).toBe(503);
    expect(first.text).not.toMatch(/ECONN|scanner|\/run|at /);
    // More attempts than the number of crashes after which the server refuses a file: a fault of the scanner does not count.
    for (let asked = 0; asked < 8; asked++) {
      expect(await patchUpload(url, HELD, bytes.subarray(HELD))).toMatchObject({ status: 204, offset: HELD });
      await sleep(50);
    }
    expect(await headUpload(url)).toMatchObject({ status: 200, offset: HELD });
    isAway = false;
    await expect.poll(async () => (await readRecord(url)).state, { timeout: 60_000 }).toBe('accepted');
  });
});

describe('the answer to a creation', () => {
  it('names the same upload when it was lost and the client repeats the creation with its Idempotency-Key', async () => {
    const server = await startVerdictServer('accept', UNHURRIED);
    const headers = { 'Idempotency-Key': '5b7a1f0e' };
    const first = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', headers });
    const again = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', headers });
    expect(again).toMatchObject({ status: 201, url: first.url });
    const other = await createUpload(server.files, { length: LENGTH, name: 'film.mp4', headers: { 'Idempotency-Key': 'other' } });
    expect(other.url).not.toBe(first.url);
  });

  it('is the verdict again when the client repeats the creation with the whole body', async () => {
    const server = await startVerdictServer('accept', UNHURRIED);
    const bytes = await videoBytes(LENGTH);
    const creation = { length: LENGTH, name: 'film.mp4', body: bytes, headers: { 'Idempotency-Key': 'whole' } };
    const first = await createUpload(server.files, creation);
    expect(first).toMatchObject({ status: 201, offset: LENGTH });
    expect(await createUpload(server.files, creation)).toMatchObject({ status: 201, offset: LENGTH, url: first.url });
    expect(server.inspections()).toBe(1);
  });

  it('is the stored rejection again when the client repeats the creation with the whole body', async () => {
    const server = await startVerdictServer('reject', UNHURRIED);
    const bytes = await videoBytes(LENGTH);
    const creation = { length: LENGTH, name: 'film.mp4', body: bytes, headers: { 'Idempotency-Key': 'whole' } };
    expect(await createUpload(server.files, creation)).toMatchObject({ status: 422, code: 'ERR_CHECK_REFUSED' });
    expect(await createUpload(server.files, creation)).toMatchObject({ status: 422, code: 'ERR_CHECK_REFUSED' });
    expect(server.inspections()).toBe(1);
  });

  it('names one upload for two simultaneous creations with one key', async () => {
    const server = await startVerdictServer('accept', UNHURRIED);
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => createUpload(server.files, { length: 10, name: 'a.txt', headers: { 'Idempotency-Key': 'same' } })),
    );
    expect(new Set(answers.map(({ url }) => url)).size).toBe(1);
    expect(answers.map(({ status }) => status)).toEqual(Array(10).fill(201));
  });
});
