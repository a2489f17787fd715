// What every staging does, wherever it keeps the bytes.
import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import type { BodyEnd } from '../../server/staging/body-source.ts';
import type { Staging } from '../../server/staging/staging.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { uploadId } from '../support/upload-ids.ts';
import { type WriteStagedOptions, writeStaged } from '../support/write-staged.ts';

const ID = uploadId('a');
const OTHER = uploadId('b');

/** A body that comes in pieces and then ends, waits, or is cut. */
function body(pieces: readonly Uint8Array[], end: 'end' | 'wait' | 'cut' = 'end'): Readable {
  let isBegun = false;
  const readable = new Readable({
    // Not before it is read: what is cut off unread was never received.
    read() {
      if (isBegun) return;
      isBegun = true;
      for (const piece of pieces) readable.push(piece);
      if (end === 'end') readable.push(null);
      if (end === 'cut') setTimeout(() => readable.destroy(), 50);
    },
  });
  return readable;
}

/** @param open makes an empty staging that goes when the running test ends */
export function testStaging(open: () => Promise<Staging>): void {
  async function contentOf(staging: Staging, id = ID): Promise<Buffer> {
    const reader = await staging.open(id);
    return gathered(reader.stream()).finally(() => reader.close());
  }

  it('has nothing of an upload until something is written, and appends from then on', async () => {
    const staging = await open();
    const bytes = await videoBytes(3_000_000);
    expect(await staging.size(ID)).toBe(0);
    expect(await writeStaged(staging, ID, 0, body([bytes.subarray(0, 1_000_000)]))).toMatchObject({ bytes: 1_000_000, end: 'whole' });
    expect(await writeStaged(staging, ID, 1_000_000, body([bytes.subarray(1_000_000)]))).toMatchObject({
      bytes: 2_000_000,
      end: 'whole',
    });
    expect(await staging.size(ID)).toBe(3_000_000);
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
    expect(await staging.size(OTHER)).toBe(0);
  });

  it('stores many small pieces in their order', async () => {
    const staging = await open();
    const bytes = await videoBytes(100_000);
    const pieces = Array.from({ length: 5000 }, (_, index) => bytes.subarray(index * 20, index * 20 + 20));
    expect(await writeStaged(staging, ID, 0, body(pieces))).toMatchObject({ bytes: 100_000, end: 'whole' });
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it('has stored lent bytes, although they are overwritten as soon as their write has ended', async () => {
    const staging = await open();
    const bytes = await videoBytes(12 * 1024 * 1024 + 5);
    const writer = await staging.openWriter(ID, 0, { completeBytes: bytes.byteLength });
    const lent = Buffer.alloc(256 * 1024);
    for (let at = 0; at < bytes.byteLength; ) {
      const copied = bytes.copy(lent, 0, at, at + Math.min(lent.byteLength, writer.capacity));
      // In two buffers; the second may begin anywhere.
      await writer.write([lent.subarray(0, copied >> 1), lent.subarray(copied >> 1, copied)]);
      lent.fill(0xee);
      at += copied;
    }
    expect(await writer.end(true)).toBe('durable');
    await writer.close();
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it('continues from the stored bytes of a body that was aborted in the middle', async () => {
    const staging = await open();
    const bytes = await videoBytes(7_000_000);
    const told: number[] = [];
    const writer = await staging.openWriter(ID, 0, { completeBytes: null, onStored: (offset) => told.push(offset) });
    await writer.write([bytes.subarray(0, 5_000_000)]);
    await writer.close();
    const stored = await staging.size(ID);
    expect(stored).toBeGreaterThanOrEqual(told.at(-1) ?? 0);
    expect(stored).toBeLessThanOrEqual(5_000_000);
    await writeStaged(staging, ID, stored, body([bytes.subarray(stored)]));
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  const ENDS: [BodyEnd, () => { source: Readable; options: WriteStagedOptions }][] = [
    ['cut', () => ({ source: body([Buffer.alloc(5000, 1)], 'cut'), options: {} })],
    [
      'interrupted',
      () => {
        const controller = new AbortController();
        // After the bytes have come: opening a store may take longer than any fixed time.
        const onBatch = () => void setTimeout(() => controller.abort(), 50);
        return { source: body([Buffer.alloc(5000, 1)], 'wait'), options: { signal: controller.signal, onBatch } };
      },
    ],
    ['too-slow', () => ({ source: body([Buffer.alloc(5000, 1)], 'wait'), options: { bodyTimeoutMs: 100 } })],
  ];
  it.for(ENDS)('keeps the received bytes of a body that ends %s', async ([end, make]) => {
    const staging = await open();
    const { source, options } = make();
    expect(await writeStaged(staging, ID, 0, source, options)).toMatchObject({ bytes: 5000, end });
    expect(await staging.size(ID)).toBe(5000);
  });

  it('reports how far it has written, never backwards, and finally all of it', async () => {
    const staging = await open();
    const told: number[] = [];
    const bytes = await videoBytes(3_000_000);
    await writeStaged(staging, ID, 0, body([bytes]), { onStored: (offset) => void told.push(offset) });
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(3_000_000);
  });

  it('takes no byte over the limit', async () => {
    const staging = await open();
    const { bytes, end } = await writeStaged(staging, ID, 0, body([Buffer.alloc(600), Buffer.alloc(600)]), { maxBytes: 1000 });
    expect(end).toBe('too-long');
    expect(bytes).toBeLessThanOrEqual(1000);
    expect(await staging.size(ID)).toBe(bytes);
  });

  it('makes a complete upload durable while it writes the end of it', async () => {
    const staging = await open();
    expect(await writeStaged(staging, ID, 0, body([Buffer.alloc(5000)]), { completeBytes: 5000 })).toMatchObject({ proof: 'durable' });
    const { proof } = await writeStaged(staging, OTHER, 0, body([Buffer.alloc(4000)]), { completeBytes: 5000 });
    // Stored bytes may be durable at once, or when a caller asks for it.
    expect(['durable', 'unknown']).toContain(proof);
  });

  it('reads ranges, and less only where the bytes end', async () => {
    const staging = await open();
    const bytes = await videoBytes(10_000);
    await writeStaged(staging, ID, 0, body([bytes]));
    const reader = await staging.open(ID);
    expect(reader.size).toBe(10_000);
    expect((await reader.read(100, 300)).equals(bytes.subarray(100, 300))).toBe(true);
    expect((await reader.read(9_990, 20_000)).equals(bytes.subarray(9_990))).toBe(true);
    expect((await reader.read(10_000, 10_010)).byteLength).toBe(0);
    expect((await gathered(reader.stream(4000))).equals(bytes.subarray(4000))).toBe(true);
    await reader.close();
  });

  it('has the same bytes after they were synced, renewed, and cut back', async () => {
    const staging = await open();
    const bytes = await videoBytes(10_000);
    await writeStaged(staging, ID, 0, body([bytes]));
    await staging.sync(ID);
    await staging.renew(ID);
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
    await staging.truncate(ID, 4000);
    expect(await staging.size(ID)).toBe(4000);
    await writeStaged(staging, ID, 4000, body([bytes.subarray(4000)]));
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it('lists its uploads, and no removed ones; removing is idempotent', async () => {
    const staging = await open();
    for (const id of [ID, OTHER]) await writeStaged(staging, id, 0, body([Buffer.alloc(10)]));
    const list = async () => {
      const ids: UploadId[] = [];
      for await (const id of staging.list()) ids.push(id);
      return ids.sort();
    };
    expect(await list()).toEqual([ID, OTHER]);
    await staging.remove(ID);
    await staging.remove(ID);
    expect(await list()).toEqual([OTHER]);
    expect(await staging.size(ID)).toBe(0);
  });

  it('knows how many bytes are free', async () => {
    expect(await (await open()).freeBytes()).toBeGreaterThan(0);
  });
}
