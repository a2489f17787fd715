// What every staging does, wherever it keeps the bytes.

import { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import type { UploadId } from '../../server/ledger/upload-id.ts';
import type { BodyEnd, Staging, WriteOptions } from '../../server/staging/staging.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { uploadId } from '../support/upload-ids.ts';

const ID = uploadId('a');
const OTHER = uploadId('b');

function limits(more: Partial<WriteOptions> = {}): WriteOptions {
  return { maxBytes: 1e9, signal: new AbortController().signal, bodyTimeoutMs: 10_000, completeSize: null, onBatch: () => {}, ...more };
}

/** A body that comes in pieces and then ends, waits, or is cut. */
function body(pieces: readonly Uint8Array[], end: 'end' | 'wait' | 'cut' = 'end'): Readable {
  const readable = new Readable({
    // Not before somebody reads: what is cut off unread never came.
    read() {
      if (end === 'cut') setTimeout(() => readable.destroy(), 50);
    },
  });
  for (const piece of pieces) readable.push(piece);
  if (end === 'end') readable.push(null);
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
    expect(await staging.write(ID, 0, body([bytes.subarray(0, 1_000_000)]), limits())).toMatchObject({ bytes: 1_000_000, end: 'whole' });
    expect(await staging.write(ID, 1_000_000, body([bytes.subarray(1_000_000)]), limits())).toMatchObject({
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
    expect(await staging.write(ID, 0, body(pieces), limits())).toMatchObject({ bytes: 100_000, end: 'whole' });
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it('shows every batch before it is written, in order and whole', async () => {
    const staging = await open();
    const bytes = await videoBytes(2_000_000);
    const seen: Buffer[] = [];
    const onBatch = (batch: readonly Buffer[], offset: number) => {
      expect(offset).toBe(seen.reduce((sum, piece) => sum + piece.byteLength, 0));
      seen.push(...batch.map((piece) => Buffer.from(piece)));
    };
    await staging.write(ID, 0, body([bytes]), limits({ onBatch }));
    expect(Buffer.concat(seen).equals(bytes)).toBe(true);
  });

  it('writes nothing of a batch that is refused, and throws the refusal', async () => {
    const staging = await open();
    const refusal = new Error('no');
    const onBatch = async () => {
      throw refusal;
    };
    await expect(staging.write(ID, 0, body([Buffer.alloc(1000)]), limits({ onBatch }))).rejects.toBe(refusal);
    expect(await staging.size(ID)).toBe(0);
  });

  const ENDS: [BodyEnd, () => { source: Readable; options: WriteOptions }][] = [
    ['cut', () => ({ source: body([Buffer.alloc(5000, 1)], 'cut'), options: limits() })],
    [
      'interrupted',
      () => {
        const controller = new AbortController();
        setTimeout(() => controller.abort(), 100);
        return { source: body([Buffer.alloc(5000, 1)], 'wait'), options: limits({ signal: controller.signal }) };
      },
    ],
    ['too-slow', () => ({ source: body([Buffer.alloc(5000, 1)], 'wait'), options: limits({ bodyTimeoutMs: 100 }) })],
  ];
  it.for(ENDS)('keeps what came of a body that ends %s', async ([end, make]) => {
    const staging = await open();
    const { source, options } = make();
    expect(await staging.write(ID, 0, source, options)).toMatchObject({ bytes: 5000, end });
    expect(await staging.size(ID)).toBe(5000);
  });

  it('tells how far it has written, never backwards and in the end all of it', async () => {
    const staging = await open();
    const told: number[] = [];
    const bytes = await videoBytes(3_000_000);
    await staging.write(ID, 0, body([bytes]), limits({ onWritten: (_sync, offset) => told.push(offset) }));
    expect(told).toEqual([...told].sort((a, b) => a - b));
    expect(told.at(-1)).toBe(3_000_000);
  });

  it('takes no byte over the limit', async () => {
    const staging = await open();
    const { bytes, end } = await staging.write(ID, 0, body([Buffer.alloc(600), Buffer.alloc(600)]), limits({ maxBytes: 1000 }));
    expect(end).toBe('too-long');
    expect(bytes).toBeLessThanOrEqual(1000);
    expect(await staging.size(ID)).toBe(bytes);
  });

  it('makes a complete upload durable while it writes the end of it', async () => {
    const staging = await open();
    expect(await staging.write(ID, 0, body([Buffer.alloc(5000)]), limits({ completeSize: 5000 }))).toMatchObject({ proof: 'durable' });
    const { proof } = await staging.write(OTHER, 0, body([Buffer.alloc(4000)]), limits({ completeSize: 5000 }));
    // What is stored may be durable at once, or when somebody asks for it.
    expect(['durable', 'unknown']).toContain(proof);
  });

  it('reads ranges, and less only where the bytes end', async () => {
    const staging = await open();
    const bytes = await videoBytes(10_000);
    await staging.write(ID, 0, body([bytes]), limits());
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
    await staging.write(ID, 0, body([bytes]), limits());
    await staging.sync(ID);
    await staging.renew(ID);
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
    await staging.truncate(ID, 4000);
    expect(await staging.size(ID)).toBe(4000);
    await staging.write(ID, 4000, body([bytes.subarray(4000)]), limits());
    expect((await contentOf(staging)).equals(bytes)).toBe(true);
  });

  it('lists what it holds, and forgets what is removed, also twice', async () => {
    const staging = await open();
    for (const id of [ID, OTHER]) await staging.write(id, 0, body([Buffer.alloc(10)]), limits());
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

  it('knows whether there is room', async () => {
    expect(await (await open()).freeBytes()).toBeGreaterThan(0);
  });
}
