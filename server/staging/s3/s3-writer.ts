// From a request to the parts of a multipart upload: gathered in memory that all bodies share, sent several at once, and
// counted only as far as there is no gap.
import type { Readable } from 'node:stream';
import type { Bucket } from '../../s3/bucket.ts';
import type { PartMemory } from '../../s3/part-memory.ts';
import type { Permits } from '../../s3/permits.ts';
import type { WriteOptions, Written } from '../staging.ts';
import { StreamSource } from '../stream-source.ts';
import { PartBuffer } from './part-buffer.ts';
import { PartsUnderway } from './parts-underway.ts';
import { layOut, requireSize } from './s3-layout.ts';
import { bytesKey, cutTail, endOf, isCut, type Multipart, newTailKey, type Staged, sizeOf, startMultipart, type Tail } from './s3-parts.ts';
import { loadTails, seal } from './s3-seal.ts';

export interface S3Writing {
  bucket: Bucket;
  memory: PartMemory;
  /** For what is read back from S3 into memory of its own: few at a time. */
  reading: Permits;
  /** Parts of one body on their way at once. */
  concurrency: number;
  /** As the upload has begun it. */
  multipart: Multipart | undefined;
  /** Bytes of a part; of one that has begun, its own. */
  partSize: number;
}

/** A part that came in more pieces than this is put together anew: one object instead of many. */
const MAX_TAILS = 16;

/** Appends a body from `offset` on. What is in S3 beyond it does not count and is written anew. @throws S3Fault, and what `onBatch` throws */
export async function writeBodyToS3(
  writing: S3Writing,
  id: string,
  staged: Staged,
  offset: number,
  source: Readable,
  options: WriteOptions,
): Promise<Written> {
  const gathered = new StreamSource(source, options);
  const writer = new S3Writer(writing, id, staged, offset, options, () => gathered.nudge());
  try {
    await writer.prepare();
    for (;;) {
      const batch = await gathered.next();
      if (batch === undefined) break;
      await writer.add(batch);
    }
    const end = gathered.end ?? 'cut';
    await writer.end(end !== 'too-long');
    return { bytes: writer.position - offset, end, proof: 'durable' };
  } finally {
    gathered.release();
    await writer.close();
  }
}

class S3Writer {
  position: number;
  readonly #writing: S3Writing;
  readonly #id: string;
  readonly #staged: Staged;
  readonly #options: WriteOptions;
  readonly #startedAt: number;
  #multipart: Multipart | undefined;
  readonly #partSize: number;
  /** The part that is being gathered: its tails in S3, then what is in memory. */
  #partStart = 0;
  #tails: Tail[] = [];
  /** Tails whose bytes are in another one, too. Until the ledger counts that to its end, another process would go on from these. */
  #joined: { keys: string[]; end: number } | undefined;
  readonly #buffer: PartBuffer;
  readonly #parts: PartsUnderway;

  constructor(writing: S3Writing, id: string, staged: Staged, offset: number, options: WriteOptions, nudge: () => void) {
    this.#writing = writing;
    this.#id = id;
    this.#staged = staged;
    this.#options = options;
    this.#partSize = writing.partSize;
    this.position = offset;
    this.#startedAt = offset;
    this.#parts = new PartsUnderway(offset, writing.concurrency, () => this.#tellWritten(), nudge);
    this.#buffer = new PartBuffer(writing.memory, nudge);
  }

  async prepare(): Promise<void> {
    const { bucket, multipart } = this.#writing;
    const { requireHeld } = this.#options;
    requireHeld?.();
    const layout = await layOut(this.#writing, this.#id, this.#staged, multipart, this.#partSize, this.position, requireHeld);
    this.#multipart = layout.multipart;
    this.#partStart = layout.start;
    this.#tails = layout.tails;
    requireHeld?.();
    const last = this.#tails.at(-1);
    // Whoever reads the next chain must not find its rest instead of what comes now, and no tail that begins where it ends.
    if (last && isCut(last, this.#staged.tails)) this.#tails.splice(-1, 1, await cutTail(bucket, this.#id, last));
    // What the others hold is in the parts, or the ledger never came to it.
    const kept = new Set(this.#tails.map(({ key }) => key));
    await bucket.remove(this.#staged.tails.filter(({ key }) => !kept.has(key)).map(({ key }) => key));
  }

  /** Takes a batch in; resolves when there is room for the next. An empty one: whether to write down what is held. */
  async add(batch: readonly Buffer[]): Promise<void> {
    if (this.#buffer.isFlushAsked) await this.#flushTail();
    let rest = batch;
    while (rest.length > 0) {
      this.#parts.throwFault();
      const [piece, after] = split(rest, this.#partStart + this.#partSize - this.position);
      await this.#options.onBatch(piece, this.position);
      for (const chunk of piece) await this.#fill(chunk);
      rest = after;
      // The last part of an upload waits for the end of the body, which may turn out to be too long.
      if (this.position === this.#partStart + this.#partSize && this.position !== this.#options.completeSize) await this.#send();
    }
  }

  /** The body is over. */
  async end(mayComplete: boolean): Promise<void> {
    const isComplete = mayComplete && this.position === this.#options.completeSize;
    if (!isComplete) {
      await this.#flushTail();
      await this.#settle();
      return;
    }
    this.#options.requireHeld?.();
    if (this.#partStart === 0) {
      // Small enough for one request: there never was a multipart upload.
      const whole = await this.#wholePart();
      // On its way from here on: others count on its coming back.
      const { memory } = this.#buffer.handOn();
      await this.#writing.bucket.put(bytesKey(this.#id), whole).finally(() => this.#writing.memory.give(memory.byteLength));
      this.#options.onWritten?.(nothing, this.position);
      return;
    }
    if (this.position > this.#partStart) await this.#send();
    await this.#settle();
    const multipart = await this.#begun();
    this.#options.requireHeld?.();
    const known = this.#startedAt === 0 ? this.#parts.stored() : undefined;
    await seal(this.#writing, this.#id, multipart, this.position, known);
  }

  /** Waits for what is on its way, whatever became of the body. */
  async close(): Promise<void> {
    this.#buffer.endHold();
    await this.#parts.over();
    this.#buffer.close();
  }

  async #fill(chunk: Buffer): Promise<void> {
    let rest = chunk;
    while (rest.byteLength > 0) {
      if (this.#buffer.isFull) await this.#grow();
      const copied = this.#buffer.fill(rest);
      this.position += copied;
      rest = rest.subarray(copied);
    }
  }

  async #grow(): Promise<void> {
    const end = Math.min(this.#partStart + this.#partSize, this.#options.completeSize ?? Number.POSITIVE_INFINITY);
    while (!(await this.#buffer.grow(this.#partSize, end - (this.position - this.#buffer.filled)))) await this.#flushTail();
  }

  /** Sends the part that is gathered, once there is a place among those on their way. */
  async #send(): Promise<void> {
    const { bucket, reading } = this.#writing;
    await this.#parts.place();
    const multipart = await this.#begun();
    this.#options.requireHeld?.();
    const number = this.#partStart / this.#partSize + 1;
    const tails = this.#tails;
    const { bytes, memory } = this.#buffer.handOn();
    this.#tails = [];
    this.#partStart = this.position;
    const put = (part: Uint8Array) => bucket.multiparts.put(bytesKey(this.#id), multipart.uploadId, number, part);
    const sent =
      tails.length === 0
        ? put(bytes)
        : reading.with(sizeOf(tails) + bytes.byteLength, async () => put(Buffer.concat([await loadTails(bucket, tails), bytes])));
    this.#parts.add(number, this.position, sent, (isStored) => {
      // Of a request that failed something may still be on its way.
      if (isStored) this.#writing.memory.giveBack(memory);
      else this.#writing.memory.give(memory.byteLength);
    });
  }

  /** Writes down what is held of a part that is not full. The tails before it stay: nothing acknowledged is ever in one place less. */
  async #flushTail(): Promise<void> {
    this.#buffer.beginFlush();
    await this.#removeJoined();
    const { bytes } = this.#buffer;
    if (bytes.byteLength > 0) {
      this.#options.requireHeld?.();
      const { bucket, reading } = this.#writing;
      const start = this.position - bytes.byteLength;
      if (this.#tails.length < MAX_TAILS || this.#joined !== undefined) {
        const key = newTailKey(this.#id, start);
        await bucket.put(key, bytes);
        this.#tails.push({ key, start, size: bytes.byteLength });
      } else {
        const joined = this.#tails.splice(0);
        const key = newTailKey(this.#id, this.#partStart);
        await reading.with(sizeOf(joined) + bytes.byteLength, async () =>
          bucket.put(key, Buffer.concat([await loadTails(bucket, joined), bytes])),
        );
        this.#tails = [{ key, start: this.#partStart, size: this.position - this.#partStart }];
        this.#joined = { keys: joined.map((tail) => tail.key), end: this.position };
      }
      this.#buffer.drop();
      this.#tellWritten();
    }
    this.#buffer.endFlush();
  }

  /** What is left when the body is over is left to the next one. */
  async #removeJoined(): Promise<void> {
    if (this.#joined === undefined || (this.#options.counted?.() ?? this.#startedAt) < this.#joined.end) return;
    this.#options.requireHeld?.();
    await this.#writing.bucket.remove(this.#joined.keys);
    this.#joined = undefined;
  }

  #wholePart(): Promise<Buffer> {
    const { bucket, reading } = this.#writing;
    const { bytes } = this.#buffer;
    if (this.#tails.length === 0) return Promise.resolve(bytes);
    return reading.with(sizeOf(this.#tails) + bytes.byteLength, async () => Buffer.concat([await loadTails(bucket, this.#tails), bytes]));
  }

  async #begun(): Promise<Multipart> {
    this.#multipart ??= await startMultipart(this.#writing.bucket, this.#id, this.#partSize);
    requireSize(this.#multipart, this.#partSize);
    return this.#multipart;
  }

  #tellWritten(): void {
    const written = this.#parts.advance(endOf(this.#tails, this.#partStart));
    if (written !== undefined) this.#options.onWritten?.(nothing, written);
  }

  async #settle(): Promise<void> {
    await this.#parts.over();
    this.#parts.throwFault();
  }
}

/** The first `bytes` of a batch, and what follows. */
function split(batch: readonly Buffer[], bytes: number): [Buffer[], Buffer[]] {
  const first: Buffer[] = [];
  let room = bytes;
  for (const [index, chunk] of batch.entries()) {
    if (chunk.byteLength >= room) {
      first.push(chunk.subarray(0, room));
      const rest = batch.slice(index + 1);
      return [first, chunk.byteLength > room ? [chunk.subarray(room), ...rest] : rest];
    }
    first.push(chunk);
    room -= chunk.byteLength;
  }
  return [first, []];
}

async function nothing(): Promise<void> {}
