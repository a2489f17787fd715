// Measures what docs/stores.md says about each staging: a false cell in its table fails.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { DataStore } from '@tus/utils';
import { expect, it } from 'vitest';
import { StagedBytesLost, type Staging } from '../../server/staging/staging.ts';
import { gathered, videoBytes } from '../support/content.ts';
import { REPOSITORY } from '../support/repository.ts';
import { uploadId } from '../support/upload-ids.ts';

const MIB = 1024 * 1024;
const ID = uploadId('a');
const LENGTH = 40 * MIB;
/** Of Landfall in S3, as its contract opens it. */
const PART_BYTES = 8 * MIB;
/** Bytes of a first request: fewer than a part. */
const ACKNOWLEDGED = 3 * MIB;

export interface Measured {
  /** The locks of one process, over a staging that all share. */
  open(): Promise<{ staging: Staging; store?: DataStore; spoiled?: Spoiling }>;
  /** What is stored of uploads now. */
  everything(): Promise<string[]>;
}

/** A store whose next write fails, or never ends. */
export interface Spoiling {
  fails: number;
  hangs: boolean;
  /** A hanging request, which must be ended before its server. */
  hung: Readable[];
}

const COLUMNS = ['failed', 'crashed', 'turns', 'counted', 'removed', 'published'] as const;

function rowOf(title: string): Record<(typeof COLUMNS)[number], string> {
  const page = readFileSync(join(REPOSITORY, 'docs/stores.md'), 'utf8');
  const table = /<!-- promises -->\n([\s\S]*?)<!-- \/promises -->/.exec(page)?.[1] ?? '';
  const rows = table.split('\n').map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const row = rows.find(([name]) => name === title);
  if (row === undefined) throw new Error(`docs/stores.md has no row for ${title}.`);
  return Object.fromEntries(COLUMNS.map((column, index) => [column, row[index + 1] ?? ''])) as Record<(typeof COLUMNS)[number], string>;
}

/** Wraps a store so that its writes can fail. */
export function spoilable(store: DataStore): Spoiling {
  const spoiling: Spoiling = { fails: 0, hangs: false, hung: [] };
  const write = store.write.bind(store);
  store.write = async (stream: Readable, id: string, offset: number) => {
    if (spoiling.hangs) {
      spoiling.hung.push(stream);
      return write(neverEnding(stream), id, offset);
    }
    if (spoiling.fails-- > 0) {
      // In the middle of the write: some of the bytes are stored.
      const some: Buffer[] = [];
      for await (const chunk of stream) if (some.length === 0) some.push(chunk);
      await write(Readable.from(some, { objectMode: false }), id, offset);
      throw new Error('The connection broke.');
    }
    return write(stream, id, offset);
  };
  return spoiling;
}

/** A body that does not end. */
function neverEnding(stream: Readable): Readable {
  const push = stream.push.bind(stream);
  stream.push = (chunk: unknown, encoding?: BufferEncoding) => (chunk === null ? true : push(chunk, encoding));
  return stream;
}

/**
 * @param title of the row in docs/stores.md
 * @param open an empty place that goes when the running test ends
 */
export function testPromises(title: string, open: () => Promise<Measured>): void {
  const row = rowOf(title);
  const limits = { completeBytes: LENGTH };

  /** Appends bytes of a film up to `to`, as one request does. */
  async function append(staging: Staging, bytes: Buffer, from: number, to: number, told: number[] = []): Promise<void> {
    const writer = await staging.openWriter(ID, from, { ...limits, onStored: (offset) => told.push(offset) });
    try {
      for (let at = from; at < to; ) {
        const piece = bytes.subarray(at, Math.min(to, at + MIB, at + writer.capacity));
        await writer.write([piece]);
        at += piece.byteLength;
      }
      await writer.end(true);
    } finally {
      await writer.close();
    }
    await staging.sync(ID);
  }

  async function contentOf(staging: Staging): Promise<Buffer> {
    const reader = await staging.open(ID);
    return gathered(reader.stream()).finally(() => reader.close());
  }

  /** Whether the upload continues from the acknowledged offset to the right bytes. */
  async function goesOn(staging: Staging, bytes: Buffer): Promise<'yes' | 'no'> {
    try {
      await append(staging, bytes, ACKNOWLEDGED, LENGTH);
    } catch (error) {
      if (error instanceof StagedBytesLost) return 'no';
      throw error;
    }
    return (await contentOf(staging)).equals(bytes) ? 'yes' : 'no';
  }

  it('says whether a failed write loses acknowledged bytes', async () => {
    const { open: another } = await open();
    const { staging, spoiled } = await another();
    const bytes = await videoBytes(LENGTH);
    await append(staging, bytes, 0, ACKNOWLEDGED);
    if (spoiled) spoiled.fails = 1;
    expect(await goesOn(staging, bytes)).toBe(row.failed);
  });

  it('says whether a crash during a write loses acknowledged bytes', async () => {
    const { open: another } = await open();
    const first = await another();
    const bytes = await videoBytes(LENGTH);
    await append(first.staging, bytes, 0, ACKNOWLEDGED);
    if (first.spoiled) first.spoiled.hangs = true;
    // Nothing is closed: a process that dies closes nothing.
    const dying = append(first.staging, bytes, ACKNOWLEDGED, LENGTH).catch(() => undefined);
    if (first.spoiled) {
      await expect.poll(() => first.spoiled?.hung.length).toBeGreaterThan(0);
      // The store may have stored some of the bytes.
      await new Promise((resolve) => setTimeout(resolve, 2000));
    } else await dying;
    expect(await goesOn((await another()).staging, bytes)).toBe(row.crashed);
    for (const stream of first.spoiled?.hung ?? []) stream.destroy();
    await new Promise((resolve) => setTimeout(resolve, 500));
  });

  it('says whether processes may take turns at one upload', async () => {
    const { open: another } = await open();
    const [one, other] = [(await another()).staging, (await another()).staging];
    const bytes = await videoBytes(LENGTH);
    const STEPS = [0, ACKNOWLEDGED, 9 * MIB, 10 * MIB, 21 * MIB, LENGTH];
    for (const [index, from] of STEPS.slice(0, -1).entries())
      await append(index % 2 === 0 ? one : other, bytes, from, STEPS[index + 1] ?? 0);
    const isRight = (await contentOf(one)).equals(bytes) && (await contentOf(other)).equals(bytes);
    expect(isRight ? 'yes' : 'no').toBe(row.turns);
  });

  it('says how often the ledger counts the bytes of a long request', async () => {
    const { open: another } = await open();
    const { staging } = await another();
    const told: number[] = [];
    await append(staging, await videoBytes(LENGTH), 0, LENGTH, told);
    const steps = [...new Set(told)].filter((offset) => offset > 0 && offset < LENGTH - 1);
    const widest = Math.max(...steps.map((offset, index) => offset - (steps[index - 1] ?? 0)));
    // Parts end in any order, so several may be counted at once.
    if (row.counted === 'part') {
      expect(steps.map((offset) => offset % PART_BYTES)).toEqual(steps.map(() => 0));
      expect(steps.length, 'the ledger counted nothing before the end').toBeGreaterThan(0);
      return;
    }
    const said = /^(\d+) MiB$/.exec(row.counted)?.[1];
    if (said !== undefined) expect(widest).toBe(Number(said) * MIB);
    else expect(widest).toBeLessThanOrEqual(MIB);
  });

  it('says how a file is published, and whether ended uploads are removed', async () => {
    const { open: another, everything } = await open();
    const { staging } = await another();
    await append(staging, await videoBytes(LENGTH), 0, LENGTH);
    const { path, object } = (await staging.locate(ID)) ?? {};
    expect(path !== undefined ? 'link' : object !== undefined ? 'copy in S3' : 'stream').toBe(row.published);
    await staging.remove(ID);
    await expect.poll(everything).toSatisfy((left: string[]) => (left.length === 0 ? 'yes' : 'no') === row.removed);
  });
}
