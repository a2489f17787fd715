// Writes lent buffers as parts of a multipart upload. Parts are collected in memory that all bodies share, several are sent at once, and
// bytes count only up to the first gap.
import type { UploadId } from '../../ledger/upload-id.ts';
import type { Bucket } from '../../s3/bucket.ts';
import type { PartMemory } from '../../s3/part-memory.ts';
import type { Permits } from '../../s3/permits.ts';
import type { Proof, StagingWriter, WriterOptions } from '../staging.ts';
import { PartBuffer } from './part-buffer.ts';
import { PartsInFlight } from './parts-in-flight.ts';
import { layOut, requireSize } from './s3-layout.ts';
import { bytesKey, cutTail, endOf, isCut, type Multipart, newTailKey, type Staged, sizeOf, startMultipart, type Tail } from './s3-parts.ts';
import { loadTails, seal } from './s3-seal.ts';

export interface S3Writing {
  bucket: Bucket;
  memory: PartMemory;
  /** Limits the memory for bytes that are read back from S3. */
  reading: Permits;
  /** Parts of one body that are sent at the same time. */
  concurrency: number;
  /** The upload's multipart upload, if it has one. */
  multipart: Multipart | undefined;
  /** Size of the upload's parts. */
  partBytes: number;
}

/** When a part has more tails than this, they are joined into one. */
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
  /** The part that is being collected: its tails in S3, then the bytes in memory. */
  #partStart = 0;
  #tails: Tail[] = [];
  /** Tails that were joined into one, which ends at `end`. Until the ledger counts that far, another process may need the single tails. */
  #joined: { keys: string[]; end: number } | undefined;
  readonly #buffer: PartBuffer;
  readonly #parts: PartsInFlight;

  private constructor(writing: S3Writing, id: UploadId, staged: Staged, offset: number, options: WriterOptions) {
    this.#writing = writing;
    this.#id = id;
    this.#staged = staged;
    this.#options = options;
    this.#partBytes = writing.partBytes;
    this.#position = offset;
    this.#startedAt = offset;
    const wake = () => options.wake?.();
    this.#parts = new PartsInFlight(offset, writing.concurrency, () => this.#reportStored(), wake);
    this.#buffer = new PartBuffer(writing.memory, wake);
  }

  /** Opens a writer. Bytes in S3 beyond `offset` do not count and are overwritten. @throws S3Fault */
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

  get capacity(): number {
    return this.#partStart + this.#partBytes - this.#position;
  }

  /** Resolves when the bytes are copied into this writer's memory. Flushes that memory first if a flush was requested. */
  async write(buffers: readonly Buffer[]): Promise<void> {
    this.#parts.throwFault();
    if (this.#buffer.isFlushAsked) await this.#flushTail();
    for (const buffer of buffers) await this.#fill(buffer);
    // The last part of an upload waits for the end of the body, because the body may be too long.
    if (this.capacity === 0 && this.#position !== this.#options.completeBytes) await this.#send();
  }

  /** Nothing to do: each part is durable once it is stored. */
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
    // The unused rest of a tail, and a tail behind that rest, must not be found instead of the bytes of this body.
    if (last && isCut(last, this.#staged.tails)) this.#tails.splice(-1, 1, await cutTail(bucket, this.#id, last));
    // The bytes of the other tails are in parts, or were never counted by the ledger.
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
      // The upload is small enough for one request and has no multipart upload.
      const whole = await this.#wholePart();
      // The memory now counts as in flight: other bodies may be waiting until it is given back.
      const { memory } = this.#buffer.handOn();
      await this.#writing.bucket.put(bytesKey(this.#id), whole).finally(() => this.#writing.memory.give(memory.byteLength));
      this.#options.onStored?.(this.#position);
      return 'durable';
    }
    if (this.#position > this.#partStart) await this.#send();
    await this.#settle();
    const multipart = await this.#startMultipart();
    this.#options.requireHeld?.();
    const known = this.#startedAt === 0 ? this.#parts.stored() : undefined;
    await seal(this.#writing, this.#id, multipart, this.#position, known);
    return 'durable';
  }

  async close(): Promise<void> {
    this.#buffer.endHold();
    await this.#parts.settled();
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

  /** Sends the collected part, once another part may be sent. */
  async #send(): Promise<void> {
    const { bucket, reading } = this.#writing;
    await this.#parts.untilFree();
    const multipart = await this.#startMultipart();
    this.#options.requireHeld?.();
    const number = this.#partStart / this.#partBytes + 1;
    const tails = this.#tails;
    const { bytes, memory, sha256 } = this.#buffer.handOn();
    this.#tails = [];
    this.#partStart = this.#position;
    const put = (part: Uint8Array, hash?: string) => bucket.multiparts.put(bytesKey(this.#id), multipart.uploadId, number, part, hash);
    const sent =
      tails.length === 0
        ? put(bytes, sha256)
        : reading.with(sizeOf(tails) + bytes.byteLength, async () => put(Buffer.concat([await loadTails(bucket, tails), bytes])));
    this.#parts.add(number, this.#position, sent, (isStored) => {
      // A failed request may still be reading the memory, so it is not used again.
      if (isStored) this.#writing.memory.giveBack(memory);
      else this.#writing.memory.give(memory.byteLength);
    });
  }

  /** Stores the bytes in memory as a tail. Earlier tails stay, so that no acknowledged byte is removed here. */
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
      this.#reportStored();
    }
    this.#buffer.endFlush();
  }

  /** Removes the single tails once the ledger counts the joined one. The next body's writer removes those that are left at the end. */
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

  async #startMultipart(): Promise<Multipart> {
    this.#multipart ??= await startMultipart(this.#writing.bucket, this.#id, this.#partBytes);
    requireSize(this.#multipart, this.#partBytes);
    return this.#multipart;
  }

  #reportStored(): void {
    const written = this.#parts.advance(endOf(this.#tails, this.#partStart));
    if (written !== undefined) this.#options.onStored?.(written);
  }

  async #settle(): Promise<void> {
    await this.#parts.settled();
    this.#parts.throwFault();
  }
}
