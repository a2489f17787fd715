// Writes a stream to a file: the ways bodies end, and the faults of disks.
import { constants } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { OpenFile } from '../../server/disk/open-file.ts';
import { type BodyLimits, collectBody } from '../../server/staging/body-source.ts';
import { DiskWriter } from '../../server/staging/disk/disk-writer.ts';
import { streamBody } from '../../server/staging/stream-source.ts';
import { videoBytes } from '../support/content.ts';
import { testDirectory } from '../support/temp-dir.ts';
import { pour, type Written } from '../support/write-staged.ts';
import { PATIENT } from './patient.ts';

const MIB = 1024 * 1024;

function options(more: Partial<BodyLimits> = {}): BodyLimits {
  return { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 10_000, ...more };
}

function writeBody(file: OpenFile, offset: number, source: Readable, limits: BodyLimits): Promise<Written> {
  return pour(new DiskWriter(file, offset, { completeBytes: null }), streamBody(source), limits);
}

async function openFile(): Promise<{ file: OpenFile; path: string }> {
  const path = join(testDirectory(), 'file');
  const file = await OpenFile.open(path, constants.O_CREAT | constants.O_RDWR, 0o640);
  onTestFinished(() => file.close());
  return { file, path };
}

/** A real file whose vector writes the test controls. */
function withWritev(file: OpenFile, writev: OpenFile['writev']): OpenFile {
  return new Proxy(file, {
    get(target, key) {
      const value: unknown = key === 'writev' ? writev : Reflect.get(target, key);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A source that gives as much as a reader asks for, and counts it. */
function endless(piece: Buffer, limit = Number.POSITIVE_INFINITY) {
  let given = 0;
  const source = new Readable({
    highWaterMark: 64 * 1024,
    read() {
      if (given >= limit) this.push(null);
      else {
        given += piece.byteLength;
        this.push(piece);
      }
    },
  });
  onTestFinished(() => void source.destroy());
  return { source, given: () => given };
}

describe('writing a body', () => {
  it('continues after short writes, also in the middle of a buffer', async () => {
    const { file, path } = await openFile();
    const bytes = await videoBytes(200_000);
    let calls = 0;
    const short = withWritev(file, async (buffers, position) => {
      calls += 1;
      const piece = Buffer.concat(buffers).subarray(0, 777);
      return file.writev([piece], position);
    });
    const written = await writeBody(
      short,
      0,
      Readable.from([bytes.subarray(0, 1000), bytes.subarray(1000, 1500), bytes.subarray(1500)]),
      options(),
    );
    expect(written).toMatchObject({ bytes: 200_000, end: 'whole' });
    expect(calls).toBeGreaterThan(250);
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it("throws the disk's error after a short write, and keeps the written bytes", async () => {
    const { file, path } = await openFile();
    const full = withWritev(file, async (buffers, position) => {
      if (position > 0) throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
      return file.writev([Buffer.concat(buffers).subarray(0, 500)], position);
    });
    await expect(writeBody(full, 0, Readable.from([Buffer.alloc(1000, 7)]), options())).rejects.toMatchObject({ code: 'ENOSPC' });
    expect((await readFile(path)).equals(Buffer.alloc(500, 7))).toBe(true);
  });

  it('accepts more pieces at once than the system takes in one call', async () => {
    const { file, path } = await openFile();
    const bytes = await videoBytes(30_000);
    const source = new Readable({ read() {} });
    for (let offset = 0; offset < bytes.length; offset += 5) source.push(bytes.subarray(offset, offset + 5));
    source.push(null);
    expect(await writeBody(file, 0, source, options())).toMatchObject({ bytes: 30_000, end: 'whole' });
    expect((await readFile(path)).equals(bytes)).toBe(true);
  });

  it('holds the sender back while the disk is slow', async () => {
    const { file } = await openFile();
    const gate = Promise.withResolvers<void>();
    const slow = withWritev(file, async (buffers, position) => {
      await gate.promise;
      return file.writev(buffers, position);
    });
    const { source, given } = endless(Buffer.alloc(64 * 1024), 20 * MIB);
    const writing = writeBody(slow, 0, source, options());
    await vi.waitFor(() => expect(source.isPaused()).toBe(true), PATIENT);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(given()).toBeLessThan(3 * MIB);
    gate.resolve();
    expect(await writing).toMatchObject({ bytes: 20 * MIB, end: 'whole' });
  });

  it('does not blame the sender for a disk that hangs longer than a sender may stay silent', async () => {
    const { file } = await openFile();
    let calls = 0;
    const hanging = withWritev(file, async (buffers, position) => {
      if (++calls === 2) await new Promise((resolve) => setTimeout(resolve, 500));
      return file.writev(buffers, position);
    });
    const { source } = endless(Buffer.alloc(64 * 1024), 5 * MIB);
    expect(await writeBody(hanging, 0, source, options({ bodyTimeoutMs: 100 }))).toMatchObject({ bytes: 5 * MIB, end: 'whole' });
  });

  it('ends a body that is too slow, and keeps its bytes', async () => {
    const { file, path } = await openFile();
    const source = new Readable({ read() {} });
    const drip = setInterval(() => source.push('x'), 20);
    onTestFinished(() => clearInterval(drip));
    const { bytes, end } = await writeBody(file, 0, source, options({ bodyTimeoutMs: 200 }));
    expect(end).toBe('too-slow');
    expect(bytes).toBeGreaterThan(0);
    expect((await readFile(path, 'utf8')).length).toBe(bytes);
  });

  it('writes buffered bytes within a moment, so that a slow body is stored while it is sent', async () => {
    const { file, path } = await openFile();
    const source = new Readable({ read() {} });
    const writing = writeBody(file, 0, source, options());
    source.push('first');
    await vi.waitFor(async () => expect(await readFile(path, 'utf8')).toBe('first'), PATIENT);
    source.push(' second');
    await vi.waitFor(async () => expect(await readFile(path, 'utf8')).toBe('first second'), PATIENT);
    source.push(null);
    expect(await writing).toMatchObject({ bytes: 12, end: 'whole' });
  });

  it('knows a body that had already ended, broken off or been refused', async () => {
    const { file } = await openFile();
    const over = Readable.from([]);
    over.resume();
    await new Promise((resolve) => over.once('end', resolve));
    expect(await writeBody(file, 0, over, options())).toMatchObject({ bytes: 0, end: 'whole' });
    const gone = new Readable({ read() {} });
    gone.destroy();
    expect(await writeBody(file, 0, gone, options())).toMatchObject({ bytes: 0, end: 'cut' });
    const { source } = endless(Buffer.alloc(10));
    expect(await writeBody(file, 0, source, options({ signal: AbortSignal.abort() }))).toMatchObject({ bytes: 0, end: 'interrupted' });
  });

  it('survives a source that fails at once or later', async () => {
    const { file } = await openFile();
    const source = new Readable({ read() {} });
    source.push('abc');
    setTimeout(() => source.destroy(new Error('ECONNRESET')), 20);
    expect(await writeBody(file, 0, source, options())).toMatchObject({ bytes: 3, end: 'cut' });
    const late = new Readable({ read() {} });
    const controller = new AbortController();
    const writing = writeBody(file, 0, late, options({ signal: controller.signal }));
    controller.abort();
    await writing;
    late.destroy(new Error('ECONNRESET'));
    await new Promise((resolve) => setTimeout(resolve, 10));
  });

  it('leaves no listeners behind', async () => {
    const { file } = await openFile();
    const { signal } = new AbortController();
    const removed = vi.spyOn(signal, 'removeEventListener');
    const added = vi.spyOn(signal, 'addEventListener');
    const source = Readable.from([Buffer.alloc(10)]);
    await writeBody(file, 0, source, options({ signal }));
    expect(removed.mock.calls.map(([type, listener]) => [type, listener])).toEqual(
      added.mock.calls.map(([type, listener]) => [type, listener]),
    );
    for (const event of ['data', 'end', 'close'])
      expect(source.listenerCount(event)).toBe(event === 'end' ? source.listenerCount('end') : 0);
  });
});

describe('collecting a body', () => {
  it('gives its bytes, and how it ended', async () => {
    const whole = await collectBody(streamBody(Readable.from([Buffer.from('ab'), Buffer.from('c')])), options());
    expect([whole.bytes.toString(), whole.end]).toEqual(['abc', 'whole']);
    expect((await collectBody(streamBody(Readable.from([Buffer.from('ab')])), options({ maxBytes: 1 }))).end).toBe('too-long');
    const silent = () => new Readable({ read() {} });
    expect((await collectBody(streamBody(silent()), options({ bodyTimeoutMs: 50 }))).end).toBe('too-slow');
    expect((await collectBody(streamBody(silent()), options({ signal: AbortSignal.timeout(50) }))).end).toBe('interrupted');
  });
});
