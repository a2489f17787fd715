// Accepted files are kept for the configured time and then removed, once, whatever crashes or reads meanwhile.
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { filesBelow, sha256, videoBytes } from '../support/content.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { head, openSocket } from '../support/raw-http.ts';
import { ledgerEvents } from '../support/sqlite-ledger.ts';
import { createUpload, headUpload, idOf, patchUpload, readRecord } from '../support/tus-requests.ts';
import { type FinishBed, openFinishBed } from './finish-bed.ts';

const TEXT = Buffer.from('text');
const HOUR = 3_600_000;

/** An accepted upload whose retention time is over. */
async function overdue(bed: FinishBed) {
  const id = await bed.put(TEXT);
  await bed.finisher.inspectionStarts.start(id, TEXT.length, 'byte');
  const upload = await bed.verdict(id);
  if (upload.state !== 'accepted') throw new Error(upload.state);
  await bed.ledger.change(id, { from: 'accepted' }, { expiresAt: bed.ledger.now() - 1 }, true);
  return { id, upload };
}

describe('a file whose retention time is over', () => {
  it('is removed once, with its event: 410, and the record says so until it is deleted, too', async () => {
    const server = await embedLandfall({ keepFilesFor: 1500, sweepInterval: 200 });
    const { url } = await createUpload(server.files, { length: 4, name: 'a.txt', body: TEXT });
    const record = await readRecord(url);
    expect(record.state).toBe('accepted');
    expect(Date.parse(record.expiresAt ?? '') - Date.parse(record.createdAt)).toBeGreaterThan(1000);
    await expect.poll(async () => (await fetch(url)).status).toBe(410);
    expect(await (await fetch(url)).json()).toMatchObject({ code: 'ERR_UPLOAD_REMOVED' });
    expect((await headUpload(url)).status).toBe(410);
    await expect.poll(() => filesBelow(join(server.dataDir, 'files'))).toEqual([]);
    const removed = await readRecord(url);
    expect(removed.state).toBe('removed');
    expect(Date.parse(removed.expiresAt ?? '') - Date.now()).toBeGreaterThan(23 * HOUR);
    expect(ledgerEvents(server.dataDir).get(idOf(url))).toEqual(['accepted', 'removed']);
  });

  it('is kept forever when no time is set', async () => {
    const { files } = await embedLandfall();
    const { url } = await createUpload(files, { length: 4, name: 'a.txt', body: TEXT });
    expect((await readRecord(url)).expiresAt).toBeNull();
  });

  it('is removed after the time in the sender’s own limits', async () => {
    const authenticate = () => ({ owner: 'anna', limits: { keepFilesForMs: 500 } });
    const { files } = await embedLandfall({ sweepInterval: 100, keepFilesFor: '30d' }, { authenticate });
    const { url } = await createUpload(files, { length: 4, name: 'a.txt', body: TEXT });
    await expect.poll(async () => (await readRecord(url)).state).toBe('removed');
  });

  it('is removed by one of many sweepers', async () => {
    const bed = await openFinishBed();
    const { id } = await overdue(bed);
    await Promise.all(Array.from({ length: 5 }, () => bed.sweeper.sweep()));
    expect((await bed.ledger.get(id))?.state).toBe('removed');
    expect(await bed.published()).toEqual([]);
    expect(ledgerEvents(bed.dataDir).get(id)).toEqual(['accepted', 'removed']);
    await bed.sweeper.sweep();
    expect((await bed.ledger.get(id))?.state).toBe('removed');
  });

  it('loses its bytes in the next pass after a crash, and keeps its record', async () => {
    const bed = await openFinishBed();
    const { id, upload } = await overdue(bed);
    // The state left by a process that dies right after the ledger's change.
    const now = bed.ledger.now();
    await bed.ledger.move(id, { from: 'accepted' }, 'removed', { expiresAt: now, recordExpiresAt: now + HOUR });
    expect(await bed.published()).toEqual([`${upload.target}/${upload.name}`]);
    await bed.sweeper.sweep();
    expect(await bed.published()).toEqual([]);
    expect(await bed.ledger.get(id)).toMatchObject({ state: 'removed', expiresAt: now + HOUR, recordExpiresAt: null });
  });

  it('whose bytes can not be deleted now answers 410 to readers, and its bytes are deleted later', async () => {
    const bed = await openFinishBed();
    const { id } = await overdue(bed);
    // A file takes the place of the directory, so nothing can look into it.
    const files = join(bed.dataDir, 'files');
    const day = (await bed.ledger.get(id))?.createdAt ?? 0;
    const year = join(files, new Date(day).toISOString().slice(0, 4));
    await rm(year, { recursive: true });
    await writeFile(year, 'in the way');
    await bed.sweeper.sweep();
    expect(await bed.ledger.get(id)).toMatchObject({ state: 'removed', recordExpiresAt: expect.any(Number) });
    await rm(year);
    await mkdir(year);
    await bed.sweeper.sweep();
    expect(await bed.ledger.get(id)).toMatchObject({ recordExpiresAt: null });
  });

  it('whose record’s time is over, too, is forgotten', async () => {
    const bed = await openFinishBed({ keepRecordsForMs: 0 });
    const { id } = await overdue(bed);
    await bed.sweeper.sweep();
    await sleep(5);
    await bed.sweeper.sweep();
    expect(await bed.ledger.get(id)).toBeUndefined();
    expect(await bed.published()).toEqual([]);
  });
});

describe('a download under way', () => {
  it('is not cut by the removal', async () => {
    const server = await embedLandfall({ keepFilesFor: 1500, sweepInterval: 100 });
    // More than all buffers between the disk and the reader hold.
    const bytes = await videoBytes(32 * 1024 * 1024);
    const { url } = await createUpload(server.files, { length: bytes.length, name: 'film.mp4' });
    expect((await patchUpload(url, 0, bytes)).status).toBe(204);
    const socket = await openSocket(url);
    socket.write(head(`GET ${new URL(url).pathname} HTTP/1.1`, 'Host: localhost', 'Connection: close'));
    const pieces: Buffer[] = [];
    for await (const piece of socket) {
      pieces.push(piece as Buffer);
      if (pieces.length > 1) continue;
      await expect.poll(async () => (await fetch(url)).status).toBe(410);
      await expect.poll(() => filesBelow(join(server.dataDir, 'files'))).toEqual([]);
    }
    const answer = Buffer.concat(pieces);
    expect(sha256(answer.subarray(answer.indexOf('\r\n\r\n') + 4))).toBe(sha256(bytes));
  });

  it('keeps its bytes when the storage has no open files, whichever process removes the file', async () => {
    const bed = await openFinishBed({ lingerMs: 2000 });
    const { id } = await overdue(bed);
    const release = bed.removal.holdWhileRead(id);
    await bed.sweeper.sweep();
    const first = await bed.ledger.get(id);
    expect(first?.state).toBe('removed');
    await expect.poll(async () => (await bed.ledger.get(id))?.expiresAt ?? 0).toBeGreaterThan((first?.expiresAt ?? 0) + 2000);
    await bed.sweeper.sweep();
    expect(await bed.published()).toHaveLength(1);
    release();
    await expect
      .poll(async () => {
        await bed.sweeper.sweep();
        return bed.published();
      })
      .toEqual([]);
  });
});
