// Bytes in progress in S3. What an acknowledged offset stands for is in S3, and only there: nothing is spooled to a disk.
import type { Readable } from 'node:stream';
import { UPLOAD_ID } from '../../shared/protocol.ts';
import { Retries } from '../runtime/retries.ts';
import type { Bucket } from '../s3/bucket.ts';
import { isMissing } from '../s3/fault.ts';
import { PartMemory } from '../s3/part-memory.ts';
import { Permits } from '../s3/permits.ts';
import { writeBodyToS3 } from './s3-body-writer.ts';
import { bytesKey, cutTail, isCut, partSizeFor, readMultipart, readStaged, STAGING, type Staged, tailsFrom } from './s3-parts.ts';
import { ObjectReader, TailsReader } from './s3-reader.ts';
import { partsAndTails, sealAll, unseal } from './s3-seal.ts';
import type { StagedReader, Staging, WriteOptions, Written } from './staging.ts';

export interface S3StagingOptions {
  bucket: Bucket;
  /** Bytes of a part, where the length of an upload does not ask for larger ones. */
  partSize: number;
  /** Parts of one upload on their way at once. */
  concurrency: number;
  /** Bytes that all bodies together may hold in memory. */
  memory: number;
  /** The largest upload: what one without a length is made ready for. */
  maxUploadSize: number;
  /** Told of what can't be taken away now. */
  onFault?: (error: unknown) => void;
}

/** Of the usual size, that are read back at once, in memory of their own beside the shared one. */
const PARTS_READ_AT_ONCE = 2;

export class S3Staging implements Staging {
  readonly isReadableInProgress = false;
  readonly #options: S3StagingOptions;
  readonly #bucket: Bucket;
  readonly #memory: PartMemory;
  readonly #reading: Permits;
  readonly #removals: Retries;

  constructor(options: S3StagingOptions) {
    this.#options = options;
    this.#bucket = options.bucket;
    this.#memory = new PartMemory(options.memory);
    this.#reading = new Permits(PARTS_READ_AT_ONCE * options.partSize);
    this.#removals = new Retries(options.onFault ?? (() => undefined));
  }

  /** Bytes that bodies hold in memory now. */
  get memoryTaken(): number {
    return this.#memory.taken;
  }

  async size(id: string): Promise<number> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.sealed !== undefined) return staged.sealed;
    try {
      return (await partsAndTails(this.#bucket, id, staged)).size;
    } catch (error) {
      // Somebody took its parts away, a rule of the bucket for one; or it is one object since.
      if (isMissing(error)) return (await this.#bucket.head(bytesKey(id)))?.size ?? 0;
      throw error;
    }
  }

  async write(id: string, offset: number, body: Readable, options: WriteOptions): Promise<Written> {
    const { concurrency } = this.#options;
    const partSize = this.#partSizeOf(options.completeSize);
    const staged = await this.#open(id, offset, partSize, options.requireHeld);
    const writing = { bucket: this.#bucket, memory: this.#memory, reading: this.#reading, concurrency, partSize };
    return writeBodyToS3(writing, id, staged, offset, body, options);
  }

  /** Everything that is counted is durable already; but an upload of no bytes leaves nothing to be found, so it is put here. */
  async sync(id: string): Promise<void> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) await this.#bucket.put(bytesKey(id), Buffer.alloc(0));
  }

  /** S3 does not fail to sync. */
  async renew(): Promise<void> {}

  async truncate(id: string, size: number): Promise<void> {
    let staged = await readStaged(this.#bucket, id);
    let { multipart, listed, full, tails, start, size: held } = await partsAndTails(this.#bucket, id, staged);
    const partSize = multipart?.partSize ?? this.#partSizeOf(null);
    const wanted = Math.floor(size / partSize) * partSize;
    if (staged.sealed === undefined && size < start) {
      tails = tailsFrom(staged.tails, wanted, size);
      // The middle of a part that is stored: only whole objects can be read.
      if (tails.reduce((sum, tail) => sum + tail.size, 0) !== size - wanted) {
        held = await sealAll({ bucket: this.#bucket, reading: this.#reading }, id, staged);
        staged = { ...staged, sealed: held };
      }
    }
    if (staged.sealed !== undefined) {
      await unseal({ bucket: this.#bucket, reading: this.#reading }, id, staged, size, partSize);
      return;
    }
    // A part can't be taken out of a multipart upload. An empty one in its place ends what counts; from the end on, so that no gap is bridged.
    if (multipart) {
      for (const { number } of listed.filter((part) => part.number > wanted / partSize).reverse()) {
        await this.#bucket.multiparts.put(bytesKey(id), multipart.uploadId, number, Buffer.alloc(0));
      }
      full = full.slice(0, wanted / partSize);
    }
    const kept = tailsFrom(staged.tails, wanted, size);
    const cut = kept.at(-1);
    const keys = new Set(kept.map(({ key }) => key));
    if (cut && isCut(cut, staged.tails)) {
      await this.#reading.with(cut.size, () => cutTail(this.#bucket, id, cut));
      keys.delete(cut.key);
    }
    await this.#bucket.remove(staged.tails.filter(({ key }) => !keys.has(key)).map(({ key }) => key));
  }

  /** Reads what is staged. Where it is in parts this seals it: nobody writes to what is inspected. */
  async open(id: string, signal?: AbortSignal): Promise<StagedReader> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) throw new Error(`Nothing is staged of ${id}.`);
    if (staged.sealed === undefined && !staged.hasMultipart) return new TailsReader(this.#bucket, tailsFrom(staged.tails, 0));
    const size = staged.sealed ?? (await sealAll({ bucket: this.#bucket, reading: this.#reading }, id, staged, signal));
    return new ObjectReader(this.#bucket, bytesKey(id), size);
  }

  /** One object of all that is staged: its key and size, or undefined when nothing is. */
  async seal(id: string, signal?: AbortSignal): Promise<{ key: string; size: number } | undefined> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) return undefined;
    const size = staged.sealed ?? (await sealAll({ bucket: this.#bucket, reading: this.#reading }, id, staged, signal));
    return { key: bytesKey(id), size };
  }

  remove(id: string): Promise<void> {
    return this.#removals.do(() => this.#remove(id));
  }

  close(): Promise<void> {
    return this.#removals.close();
  }

  async *list(): AsyncIterable<string> {
    const seen = new Set<string>();
    for await (const name of this.#bucket.folders(STAGING)) {
      if (UPLOAD_ID.test(name)) {
        seen.add(name);
        yield name;
      }
    }
    for await (const { key } of this.#bucket.multiparts.list(STAGING)) {
      const [name = ''] = key.slice(STAGING.length).split('/');
      if (UPLOAD_ID.test(name) && !seen.has(name)) {
        seen.add(name);
        yield name;
      }
    }
  }

  async freeBytes(): Promise<number> {
    return Number.POSITIVE_INFINITY;
  }

  async #remove(id: string): Promise<void> {
    const { keys, hasMultipart, tails } = await readStaged(this.#bucket, id);
    // Also those whose id was never written down: a crash came in between. By the whole key: MinIO lists no others.
    if (hasMultipart || tails.length > 0 || keys.length === 0) await this.#abortAll(bytesKey(id));
    await this.#bucket.remove(keys);
  }

  /** What is staged, in parts and tails that can be appended to. */
  async #open(id: string, offset: number, partSize: number, requireHeld: WriteOptions['requireHeld']): Promise<Staged> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.sealed === undefined) return staged;
    const size = staged.hasMultipart ? (await readMultipart(this.#bucket, id)).partSize : partSize;
    await unseal({ bucket: this.#bucket, reading: this.#reading }, id, staged, offset, size, requireHeld);
    return readStaged(this.#bucket, id);
  }

  async #abortAll(prefix: string): Promise<void> {
    for await (const { key, uploadId } of this.#bucket.multiparts.list(prefix)) await this.#bucket.multiparts.abort(key, uploadId);
  }

  #partSizeOf(length: number | null): number {
    return partSizeFor(this.#options.partSize, length ?? this.#options.maxUploadSize);
  }
}
