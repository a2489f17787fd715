// From lent buffers to the parts of a multipart upload: gathered in memory that all bodies share, sent several at once, and
// counted only as far as there is no gap.
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import type { PartMemory } from '../../s3/part-memory.ts';
import type { Permits } from '../../s3/permits.ts';
import type { Proof, StagingWriter, WriterOptions } from '../staging.ts';
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
  partBytes: number;
}

/** A part that came in more pieces than this is put together anew: one object instead of many. */
const MAX_TAILS = 16;

export class S3Writer implements StagingWriter {
  #position: number;
  readonly #writing: S3Writing;
  readonly #id: UploadId;
  readonly #staged: Staged;
  readonly #options: WriterOptions;
  readonly #startedAt: number;
  #multipart: Multipart | undefined;
  readonly #partBytes: number;
  /** The part that is being gathered: its tails in S3, then what is in memory. */
  #partStart = 0;
  #tails: Tail[] = [];
  /** Tails whose bytes are in another one, too. Until the ledger counts that to its end, another process would go on from these. */
  #joined: { keys: string[]; end: number } | undefined;
  readonly #buffer: PartBuffer;
  readonly #parts: PartsUnderway;

  private constructor(writing: S3Writing, id: UploadId, staged: Staged, offset: number, options: WriterOptions) {
    this.#writing = writing;
    this.#id = id;
    this.#staged = staged;
    this.#options = options;
    this.#partBytes = writing.partBytes;
    this.#position = offset;
    this.#startedAt = offset;
    const nudge = () => options.nudge?.();
    this.#parts = new PartsUnderway(offset, writing.concurrency, () => this.#tellStored(), nudge);
    this.#buffer = new PartBuffer(writing.memory, nudge);
  }

  /** What is in S3 beyond `offset` does not count and is written anew. @throws S3Fault */
  static async open(writing: S3Writing, id: UploadId, staged: Staged, offset: number, options: WriterOptions): Promise<S3Writer> {
    const writer = new S3Writer(writing, id, staged, offset, options);
    try {
      await writer.#prepare();
      return writer;
    } catch (error) {
      await writer.close();
      throw error;
    }
  }

  get room(): number {
    return this.#partStart + this.#partBytes - this.#position;
  }

  /** Resolves when the bytes are in memory of this writer's own. With none: writes down what is held, where that was asked for. */
  async write(buffers: readonly Buffer[]): Promise<void> {
    this.#parts.throwFault();
    if (this.#buffer.isFlushAsked) await this.#flushTail();
    for (const buffer of buffers) await this.#fill(buffer);
    // The last part of an upload waits for the end of the body, which may turn out to be too long.
    if (this.room === 0 && this.#position !== this.#options.completeBytes) await this.#send();
  }

  /** Each part is durable once it is stored. */
  async sync(): Promise<void> {}

  async #prepare(): Promise<void> {
    const { bucket, multipart } = this.#writing;
    const { requireHeld } = this.#options;
    requireHeld?.();
    const layout = await layOut(this.#writing, this.#id, this.#staged, multipart, this.#partBytes, this.#position, requireHeld);
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

  async end(mayComplete: boolean): Promise<Proof> {
    const isComplete = mayComplete && this.#position === this.#options.completeBytes;
    if (!isComplete) {
      await this.#flushTail();
      await this.#settle();
      return 'durable';
    }
    this.#options.requireHeld?.();
    if (this.#partStart === 0) {
      // Small enough for one request: there never was a multipart upload.
      const whole = await this.#wholePart();
      // On its way from here on: others count on its coming back.
      const { memory } = this.#buffer.handOn();
      await this.#writing.bucket.put(bytesKey(this.#id), whole).finally(() => this.#writing.memory.give(memory.byteLength));
      this.#options.onStored?.(this.#position);
      return 'durable';
    }
    if (this.#position > this.#partStart) await this.#send();
    await this.#settle();
    const multipart = await this.#begun();
    this.#options.requireHeld?.();
    const known = this.#startedAt === 0 ? this.#parts.stored() : undefined;
    await seal(this.#writing, this.#id, multipart, this.#position, known);
    return 'durable';
  }

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
      this.#position += copied;
      rest = rest.subarray(copied);
    }
  }

  async #grow(): Promise<void> {
    const end = Math.min(this.#partStart + this.#partBytes, this.#options.completeBytes ?? Number.POSITIVE_INFINITY);
    while (!(await this.#buffer.grow(this.#partBytes, end - (this.#position - this.#buffer.filled)))) await this.#flushTail();
  }

  /** Sends the part that is gathered, once there is a place among those on their way. */
  async #send(): Promise<void> {
    const { bucket, reading } = this.#writing;
    await this.#parts.place();
    const multipart = await this.#begun();
    this.#options.requireHeld?.();
    const number = this.#partStart / this.#partBytes + 1;
    const tails = this.#tails;
    const { bytes, memory } = this.#buffer.handOn();
    this.#tails = [];
    this.#partStart = this.#position;
    const put = (part: Uint8Array) => bucket.multiparts.put(bytesKey(this.#id), multipart.uploadId, number, part);
    const sent =
      tails.length === 0
        ? put(bytes)
        : reading.with(sizeOf(tails) + bytes.byteLength, async () => put(Buffer.concat([await loadTails(bucket, tails), bytes])));
    this.#parts.add(number, this.#position, sent, (isStored) => {
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
      const start = this.#position - bytes.byteLength;
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
        this.#tails = [{ key, start: this.#partStart, size: this.#position - this.#partStart }];
        this.#joined = { keys: joined.map((tail) => tail.key), end: this.#position };
      }
      this.#buffer.drop();
      this.#tellStored();
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
    this.#multipart ??= await startMultipart(this.#writing.bucket, this.#id, this.#partBytes);
    requireSize(this.#multipart, this.#partBytes);
    return this.#multipart;
  }

  #tellStored(): void {
    const written = this.#parts.advance(endOf(this.#tails, this.#partStart));
    if (written !== undefined) this.#options.onStored?.(written);
  }

  async #settle(): Promise<void> {
    await this.#parts.over();
    this.#parts.throwFault();
  }
}
