import { renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Sweeper } from '../../server/finish/sweeper.ts';
import { newUploadId, type UploadId } from '../../server/ledger/upload-id.ts';
import { newUpload } from '../contract/new-upload.ts';
import { videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { openSocket, patchHead } from '../support/raw-http.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';
import { uploadId } from '../support/upload-ids.ts';
import { DAY, interrupted, openFinishBed } from './finish-bed.ts';
import { PATIENT } from './patient.ts';

/** Well before the next start, or the hourly pass. */
const SOON = { timeout: 60_000, interval: 50 };
const CONTENT = Buffer.from('some of it');
const longAgo = () => Date.now() - 1000;

describe('a pass of the sweeper', () => {
  it('ends idle uploads, and deletes their bytes', async () => {
    const bed = await openFinishBed();
    const idle = await bed.put(CONTENT, { length: 1000, expiresAt: longAgo() });
    const deferred = await bed.put(CONTENT, { length: null, expiresAt: longAgo() });
    const active = await bed.put(CONTENT, { length: 1000 });
    await bed.sweeper.sweep();
    expect((await bed.ledger.get(idle))?.state).toBe('expired');
    expect((await bed.ledger.get(deferred))?.state).toBe('expired');
    expect((await bed.ledger.get(active))?.state).toBe('receiving');
    expect(await bed.staged()).toEqual([`${active.slice(0, 2)}/${active}`]);
  });

  it('leaves alone an upload in use, and ends it in a later pass', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT, { length: 1000, expiresAt: longAgo() });
    const token = Symbol('a running PATCH');
    await bed.locker.acquire(id, token, () => undefined, 0);
    await bed.sweeper.sweep();
    expect((await bed.ledger.get(id))?.state).toBe('receiving');
    bed.locker.release(id, token);
    await bed.sweeper.sweep();
    expect((await bed.ledger.get(id))?.state).toBe('expired');
  });

  it('leaves alone a complete upload, which waits for its inspection, not its sender', async () => {
    const bed = await openFinishBed();
    const id = await bed.put(CONTENT, { expiresAt: longAgo() });
    await bed.sweeper.sweep();
    expect((await bed.ledger.get(id))?.state).toBe('receiving');
    await bed.finisher.start();
    expect((await bed.verdict(id)).state).toBe('accepted');
  });

  it('leaves alone an upload about to be inspected whose length is not recorded yet', async () => {
    const bed = await openFinishBed();
    const id = newUploadId();
    // A directory stands in place of its bytes, so they can't be made durable for now.
    await mkdir(bed.staging.path(id));
    await bed.put(undefined, { id, length: null, expiresAt: longAgo() });
    void bed.finisher.inspectionStarts.start(id, 100, 'length');
    await bed.sweeper.sweep();
    expect((await bed.ledger.get(id))?.state).toBe('receiving');
  });

  it('leaves alone inspected and accepted uploads', async () => {
    const bed = await openFinishBed();
    const accepted = await bed.put(undefined, { state: 'accepted', expiresAt: null });
    const inspecting = await bed.put(CONTENT, { state: 'inspecting', expiresAt: longAgo() });
    await bed.sweeper.sweep();
    expect((await bed.ledger.get(accepted))?.state).toBe('accepted');
    expect((await bed.ledger.get(inspecting))?.state).toBe('inspecting');
    expect(await bed.staged()).toHaveLength(1);
  });

  it('forgets expired records, and deletes bytes that a refusal had left', async () => {
    const bed = await openFinishBed();
    const id = newUploadId();
    await mkdir(join(bed.dataDir, 'files', DAY, id), { recursive: true });
    const other = await bed.put(CONTENT);
    await link(bed.staging.path(other), join(bed.dataDir, 'files', DAY, id, 'name.txt'));
    await bed.put(undefined, { id, state: 'rejected', target: `${DAY}/${id}`, expiresAt: longAgo() });
    const gone = await Promise.all(
      (['expired', 'terminated', 'removed'] as const).map((state) => bed.put(undefined, { state, expiresAt: longAgo() })),
    );
    const kept = await bed.put(undefined, { state: 'rejected', expiresAt: Date.now() + 60_000 });
    await bed.sweeper.sweep();
    for (const forgotten of [id, ...gone]) expect(await bed.ledger.get(forgotten)).toBeUndefined();
    expect(await bed.ledger.get(kept)).toBeDefined();
    expect(await bed.published()).toEqual([]);
  });

  it('cleans up beside a broken row', async () => {
    const bed = await openFinishBed();
    const broken = newUpload({ state: 'rejected', expiresAt: longAgo() - 1 });
    await bed.ledger.create({ ...broken, errorCode: null } as never, true);
    const right = await bed.put(undefined, { state: 'rejected', expiresAt: longAgo() });
    await bed.sweeper.sweep();
    expect(await bed.ledger.get(right)).toBeUndefined();
    expect((await bed.ledger.uploads.newest({ limit: 10 })).map(({ id }) => id)).toEqual([broken.id]);
  });

  it('deletes a file that an operator removed without completing the removal', async () => {
    const bed = await openFinishBed();
    const id = newUploadId();
    await mkdir(join(bed.dataDir, 'files', DAY, id), { recursive: true });
    await writeFile(join(bed.dataDir, 'files', DAY, id, 'name.txt'), CONTENT);
    await bed.put(undefined, { id, state: 'removed', target: `${DAY}/${id}`, expiresAt: longAgo() });
    await bed.sweeper.sweep();
    expect(await bed.ledger.get(id)).toBeUndefined();
    expect(await bed.published()).toEqual([]);
  });

  it('handles more than a page, even when the first uploads of it stay', async () => {
    const bed = await openFinishBed();
    const tokens: [UploadId, symbol][] = [];
    for (let n = 0; n < 120; n++) {
      const id = await bed.put(undefined, { expiresAt: longAgo() - 10_000 });
      const token = Symbol(id);
      await bed.locker.acquire(id, token, () => undefined, 0);
      tokens.push([id, token]);
    }
    const over: UploadId[] = [];
    for (let n = 0; n < 250; n++) over.push(await bed.put(undefined, { expiresAt: longAgo() }));
    await bed.sweeper.sweep();
    for (const id of over) expect((await bed.ledger.get(id))?.state).toBe('expired');
    for (const [id, token] of tokens) bed.locker.release(id, token);
  });

  it('does not hold up the event loop', async () => {
    const bed = await openFinishBed();
    for (let n = 0; n < 300; n++) await bed.put(undefined, { expiresAt: longAgo() });
    let turns = 0;
    const count = () => {
      turns += 1;
      if (turns < 1e6) setImmediate(count);
    };
    setImmediate(count);
    await bed.sweeper.sweep();
    const passed = turns;
    turns = 1e6;
    expect(passed).toBeGreaterThan(299);
  });
});

describe('a start of the sweeper', () => {
  it('deletes the bytes of ended uploads, and bytes without a row', async () => {
    const bed = await openFinishBed();
    const kept = [await bed.put(CONTENT, { length: 1000 }), await bed.put(CONTENT, { state: 'inspecting' })];
    for (const state of ['accepted', 'rejected', 'expired', 'terminated', 'removed'] as const) await bed.put(CONTENT, { state });
    const unknown = await bed.put(CONTENT, { state: 'expired', expiresAt: longAgo() });
    await bed.ledger.forget(unknown, Date.now());
    const published = newUploadId();
    await mkdir(join(bed.dataDir, 'files', DAY, published), { recursive: true });
    await bed.put(CONTENT, { id: published, state: 'rejected', target: `${DAY}/${published}` });
    await link(bed.staging.path(published), join(bed.dataDir, 'files', DAY, published, 'name.txt'));
    await bed.sweeper.clearLeftovers();
    expect((await bed.staged()).map((path) => path.slice(3)).sort()).toEqual(kept.sort());
    expect(await bed.published()).toEqual([]);
  });

  it('leaves alone a whole creation without a row yet', async () => {
    const bed = await openFinishBed();
    const creating = newUpload({ length: CONTENT.length, name: 'name.txt' });
    const beginning = newUpload({ length: CONTENT.length, name: 'name.txt' });
    for (const { id } of [creating, beginning]) await writeFile(bed.staging.path(id), CONTENT);
    const token = Symbol('a running POST');
    await bed.locker.acquire(creating.id, token, () => undefined, 0);
    bed.finisher.inspectionStarts.startNew(beginning, CONTENT.length, { proof: 'durable' });
    await bed.sweeper.clearLeftovers();
    expect((await bed.verdict(beginning.id)).state).toBe('accepted');
    expect(await readFile(bed.staging.path(creating.id))).toEqual(CONTENT);
    bed.locker.release(creating.id, token);
    await bed.sweeper.clearLeftovers();
    expect(await bed.staged()).toEqual([]);
  });

  it('skips leftovers that can not be deleted, and deletes those, too, as soon as possible', async () => {
    const bed = await openFinishBed();
    const [stuck, left] = [uploadId('0'), uploadId('f')];
    // A directory can't be unlinked like a file.
    await mkdir(bed.staging.path(stuck));
    await writeFile(bed.staging.path(left), CONTENT);
    await bed.sweeper.clearLeftovers();
    await expect(readFile(bed.staging.path(left))).rejects.toThrow('ENOENT');
    // In one turn, since an attempt in between would find nothing to delete.
    rmdirSync(bed.staging.path(stuck));
    writeFileSync(bed.staging.path(stuck), CONTENT);
    await vi.waitFor(async () => expect(await bed.staged()).toEqual([]), SOON);
  });
});

describe('leftovers of a verdict', () => {
  it('are deleted soon when they could not be at once', async () => {
    const bed = await openFinishBed();
    const id = newUploadId();
    const day = join(bed.dataDir, 'files', '2020/01/02');
    // An earlier attempt may have published; a file stands in place of the folder in which the server looks for that.
    await mkdir(join(day, '..'), { recursive: true });
    await writeFile(day, '');
    await bed.put(CONTENT, interrupted(id, { strikes: 6 }));
    await bed.finisher.start();
    expect((await bed.verdict(id)).state).toBe('rejected');
    expect(await bed.staged()).toHaveLength(1);
    const made = join(bed.dataDir, 'made');
    await mkdir(join(made, id), { recursive: true });
    await writeFile(join(made, id, 'name.txt'), CONTENT);
    // In one turn, since an attempt in between would find no folder, and be satisfied.
    rmSync(day);
    renameSync(made, day);
    await vi.waitFor(async () => expect([await bed.published(), await bed.staged()]).toEqual([[], []]), SOON);
  });
});

describe('sweeps', () => {
  it('do not queue up behind a long one', async () => {
    const { ledger, staging, storage, locker, removal } = await openFinishBed();
    const first = Promise.withResolvers<void>();
    let begun = 0;
    const sweeper = new Sweeper({
      ledger,
      staging,
      storage,
      lock: locker,
      direct: {
        startIfComplete: async () => false,
        async sweep() {
          begun += 1;
          if (begun === 1) await first.promise;
        },
      },
      isStarting: () => false,
      removal,
      intervalMs: 20,
      keepRecordsForMs: 1000,
      releaseReservations: async () => {},
      log: pino({ level: 'silent' }),
    });
    onTestFinished(() => sweeper.close());
    sweeper.start();
    await sleep(1000);
    expect(begun).toBe(1);
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 20);
    onTestFinished(() => clearInterval(ticking));
    first.resolve();
    await vi.waitFor(() => expect(begun).toBeGreaterThanOrEqual(12), PATIENT);
    expect(ticks).toBeGreaterThanOrEqual(6);
  });
});

describe('the sweeper beside a running server', () => {
  it('makes an idle upload answer 410, and later 404', async () => {
    const { files } = await embedLandfall({ expireAfter: '300ms', sweepInterval: '50ms', keepRecordsFor: '500ms' });
    const { url, headers } = await createUpload(files, { length: 1000, name: 'film.mp4' });
    expect(Date.parse(headers.get('Upload-Expires') ?? '')).toBeLessThan(Date.now() + 2000);
    await vi.waitFor(async () => expect(await headUpload(url)).toMatchObject({ status: 410, offset: undefined }), PATIENT);
    expect(await patchUpload(url, 0, 'x')).toMatchObject({ status: 410, code: 'ERR_UPLOAD_EXPIRED' });
    await vi.waitFor(async () => expect((await headUpload(url)).status).toBe(404), PATIENT);
  });

  it('does not end an upload whose bytes are being sent', async () => {
    const server = await embedLandfall({ expireAfter: '300ms', sweepInterval: '20ms' });
    const bytes = await videoBytes(50_000);
    const { url } = await createUpload(server.files, { length: bytes.length, name: 'film.mp4' });
    const socket = await openSocket(server.url);
    socket.write(patchHead(url, 0, bytes.length));
    for (let sent = 0; sent < bytes.length; sent += 1000) {
      socket.write(bytes.subarray(sent, sent + 1000));
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await vi.waitFor(async () => expect(await readRecord(url)).toMatchObject({ id: idOf(url), state: 'accepted' }), { timeout: 60_000 });
    socket.destroy();
  });
});
