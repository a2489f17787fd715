// Bytes in progress in S3. What an acknowledged offset stands for is in S3, and only there: nothing is spooled to a disk.
import { parseUploadId, type UploadId } from '../../ledger/upload-id.ts';
import { Retries } from '../../runtime/retries.ts';
import type { Bucket } from '../../s3/bucket.ts';
import { isMissing } from '../../s3/fault.ts';
import { PartMemory } from '../../s3/part-memory.ts';
import { Permits } from '../../s3/permits.ts';
import type { StagedFile, StagedReader, Staging, StagingWriter, WriterOptions } from '../staging.ts';
import { layOut } from './s3-layout.ts';
import {
  bytesKey,
  cutTail,
  endOf,
  isCut,
  type Multipart,
  partBytesFor,
  readMultipart,
  readStaged,
  STAGING,
  type Staged,
  tailsFrom,
} from './s3-parts.ts';
import { ObjectReader, TailsReader } from './s3-reader.ts';
import { partsAndTails, sealAll, unseal } from './s3-seal.ts';
import { S3Writer } from './s3-writer.ts';

export interface S3StagingOptions {
  bucket: Bucket;
  /** Bytes of a part, where the length of an upload does not ask for larger ones. */
  partBytes: number;
  /** Parts of one upload on their way at once. */
  concurrency: number;
  /** Bytes that all bodies together may hold in memory. */
  memoryBytes: number;
  /** The largest upload: what one without a length is made ready for. */
  maxUploadBytes: number;
  /** Told of what can't be taken away now. */
  onFault?: (error: unknown) => void;
}

interface Opened {
  staged: Staged;
  multipart: Multipart | undefined;
  partBytes: number;
}

/** Of the usual size, that are read back at once, in memory of their own beside the shared one. */
const PARTS_READ_AT_ONCE = 2;

export class S3Staging implements Staging {
  readonly isReadableInProgress = false;
  readonly isReadBack = false;
  readonly #options: S3StagingOptions;
  readonly #bucket: Bucket;
  readonly #memory: PartMemory;
  readonly #reading: Permits;
  readonly #removals: Retries;

  constructor(options: S3StagingOptions) {
    this.#options = options;
    this.#bucket = options.bucket;
    this.#memory = new PartMemory(options.memoryBytes);
    this.#reading = new Permits(PARTS_READ_AT_ONCE * options.partBytes);
    this.#removals = new Retries(options.onFault ?? (() => undefined));
  }

  /** Bytes that bodies hold in memory now. */
  get memoryTaken(): number {
    return this.#memory.taken;
  }

  async size(id: UploadId): Promise<number> {
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

  async openWriter(id: UploadId, offset: number, options: WriterOptions): Promise<StagingWriter> {
    const { concurrency } = this.#options;
    const { staged, multipart, partBytes } = await this.#open(id, offset, options);
    const writing = { bucket: this.#bucket, memory: this.#memory, reading: this.#reading, concurrency, multipart, partBytes };
    return S3Writer.open(writing, id, staged, offset, options);
  }

  /** Everything that is counted is durable already; but an upload of no bytes leaves nothing to be found, so it is put here. */
  async sync(id: UploadId): Promise<void> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) await this.#bucket.put(bytesKey(id), Buffer.alloc(0));
  }

  /** S3 does not fail to sync. */
  async renew(): Promise<void> {}

  async truncate(id: UploadId, size: number): Promise<void> {
    const s3 = { bucket: this.#bucket, reading: this.#reading };
    const staged = await readStaged(this.#bucket, id);
    const multipart = staged.hasMultipart ? await readMultipart(this.#bucket, id) : undefined;
    if (staged.sealed !== undefined) {
      await unseal(s3, id, staged, size, multipart?.partBytes ?? this.#partBytesOf(null));
      return;
    }
    let kept = tailsFrom(staged.tails, 0, size);
    if (multipart) {
      const { uploadId, partBytes } = multipart;
      const wanted = Math.floor(size / partBytes) * partBytes;
      const { start, listed } = await partsAndTails(this.#bucket, id, staged);
      // The middle of a part that is stored: only whole objects can be read.
      if (size < start && endOf(tailsFrom(staged.tails, wanted, size), wanted) !== size) {
        const sealed = await sealAll(s3, id, staged);
        await unseal(s3, id, { ...staged, sealed }, size, partBytes);
        return;
      }
      kept = (await layOut(s3, id, staged, multipart, partBytes, size)).tails;
      // A part can't be taken out of a multipart upload. An empty one in its place ends what counts; from the end on, so that no gap is bridged.
      for (const { number } of listed.filter((part) => part.number > wanted / partBytes).reverse()) {
        await this.#bucket.multiparts.put(bytesKey(id), uploadId, number, Buffer.alloc(0));
      }
    }
    const cut = kept.at(-1);
    const keys = new Set(kept.map(({ key }) => key));
    if (cut && isCut(cut, staged.tails)) {
      await this.#reading.with(cut.size, () => cutTail(this.#bucket, id, cut));
      keys.delete(cut.key);
    }
    await this.#bucket.remove(staged.tails.filter(({ key }) => !keys.has(key)).map(({ key }) => key));
  }

  /** Reads what is staged. Where it is in parts this seals it: nobody writes to what is inspected. */
  async open(id: UploadId, signal?: AbortSignal): Promise<StagedReader> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) throw new Error(`Nothing is staged of ${id}.`);
    if (staged.sealed === undefined && !staged.hasMultipart) return new TailsReader(this.#bucket, tailsFrom(staged.tails, 0));
    const size = staged.sealed ?? (await sealAll({ bucket: this.#bucket, reading: this.#reading }, id, staged, signal));
    return new ObjectReader(this.#bucket, bytesKey(id), size);
  }

  /** One object of all that is staged. */
  async place(id: UploadId, signal?: AbortSignal): Promise<StagedFile | undefined> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) return undefined;
    const size = staged.sealed ?? (await sealAll({ bucket: this.#bucket, reading: this.#reading }, id, staged, signal));
    const { Bucket: bucket, Key: key } = this.#bucket.at(bytesKey(id));
    return { object: { bucket, key, size } };
  }

  remove(id: UploadId): Promise<void> {
    return this.#removals.do(() => this.#remove(id));
  }

  close(): Promise<void> {
    return this.#removals.close();
  }

  async *list(): AsyncIterable<UploadId> {
    const seen = new Set<UploadId>();
    for await (const name of this.#bucket.folders(STAGING)) {
      const id = parseUploadId(name);
      if (id !== undefined) {
        seen.add(id);
        yield id;
      }
    }
    for await (const { key } of this.#bucket.multiparts.list(STAGING)) {
      const [name] = key.slice(STAGING.length).split('/');
      const id = parseUploadId(name);
      if (id !== undefined && !seen.has(id)) {
        seen.add(id);
        yield id;
      }
    }
  }

  async freeBytes(): Promise<number> {
    return Number.POSITIVE_INFINITY;
  }

  async #remove(id: UploadId): Promise<void> {
    const { keys, hasMultipart, sealed, tails } = await readStaged(this.#bucket, id);
    // Also those whose id was never written down: a crash came in between. By the whole key: MinIO lists no others.
    if (hasMultipart || tails.length > 0 || keys.length === 0) await this.#abortAll(bytesKey(id));
    // Where the server lists none, this one is known all the same.
    if (hasMultipart && sealed === undefined) await this.#abortBegun(id);
    await this.#bucket.remove(keys);
  }

  /** What is staged, in parts and tails that can be appended to. */
  async #open(id: UploadId, offset: number, { completeBytes, requireHeld }: WriterOptions): Promise<Opened> {
    const s3 = { bucket: this.#bucket, reading: this.#reading };
    const staged = await readStaged(this.#bucket, id);
    const multipart = staged.hasMultipart ? await readMultipart(this.#bucket, id) : undefined;
    // What was begun stays, but where it can't hold what may come: the length was told, or the largest grew, only since.
    const partBytes = this.#partBytesOf(completeBytes, multipart?.partBytes);
    const isTooSmall = multipart !== undefined && multipart.partBytes < partBytes;
    if (staged.sealed === undefined && !isTooSmall) return { staged, multipart, partBytes };
    requireHeld?.();
    const sealed = staged.sealed ?? (await sealAll(s3, id, staged));
    if (sealed < offset) throw new Error(`Staged bytes before ${offset} are gone.`);
    await unseal(s3, id, { ...staged, sealed }, offset, partBytes, requireHeld);
    const opened = await readStaged(this.#bucket, id);
    return { staged: opened, multipart: opened.hasMultipart ? await readMultipart(this.#bucket, id) : undefined, partBytes };
  }

  async #abortBegun(id: UploadId): Promise<void> {
    try {
      await this.#bucket.multiparts.abort(bytesKey(id), (await readMultipart(this.#bucket, id)).uploadId);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async #abortAll(prefix: string): Promise<void> {
    for await (const { key, uploadId } of this.#bucket.multiparts.list(prefix)) await this.#bucket.multiparts.abort(key, uploadId);
  }

  /** @param begun of the parts that it has */
  #partBytesOf(length: number | null, begun = this.#options.partBytes): number {
    return partBytesFor(begun, length ?? this.#options.maxUploadBytes);
  }
}
