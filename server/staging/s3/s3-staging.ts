// Bytes in progress in S3. All acknowledged bytes are in S3 and only there: nothing is spooled to a disk.
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
  /** Smallest size of parts. A long upload gets larger ones. */
  partBytes: number;
  /** Parts of one upload that are sent at the same time. */
  concurrency: number;
  /** Bytes that all bodies together may hold in memory. */
  memoryBytes: number;
  /** The largest upload. An upload of unknown length gets parts that are large enough for it. */
  maxUploadBytes: number;
  /** Called when bytes cannot be removed yet. */
  onFault?: (error: unknown) => void;
}

interface Opened {
  staged: Staged;
  multipart: Multipart | undefined;
  partBytes: number;
}

/** Parts of the usual size that are read back at the same time, in memory of their own beside the shared memory. */
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

  /** Bytes of memory that bodies hold now. */
  get memoryTaken(): number {
    return this.#memory.taken;
  }

  async size(id: UploadId): Promise<number> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.sealed !== undefined) return staged.sealed;
    try {
      return (await partsAndTails(this.#bucket, id, staged)).size;
    } catch (error) {
      // The parts are gone, for instance by a lifecycle rule of the bucket, or another process has sealed the upload meanwhile.
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

  /** All counted bytes are durable already. Only an empty upload has nothing in S3 yet, so its object is put here. */
  async sync(id: UploadId): Promise<void> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) await this.#bucket.put(bytesKey(id), Buffer.alloc(0));
  }

  /** Nothing to do: in S3 no sync fails. */
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
      // The size is in the middle of a stored part, which can only be read as part of a sealed object.
      if (size < start && endOf(tailsFrom(staged.tails, wanted, size), wanted) !== size) {
        const sealed = await sealAll(s3, id, staged);
        await unseal(s3, id, { ...staged, sealed }, size, partBytes);
        return;
      }
      kept = (await layOut(s3, id, staged, multipart, partBytes, size)).tails;
      // A part cannot be removed from a multipart upload. An empty part in its place ends the parts that count. The last part is emptied
      // first: after a crash in between, an old part behind a gap would count again once the gap is filled.
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

  /** Opens a reader. Seals an upload in parts, which is safe because no process writes to an upload under inspection. */
  async open(id: UploadId, signal?: AbortSignal): Promise<StagedReader> {
    const staged = await readStaged(this.#bucket, id);
    if (staged.keys.length === 0) throw new Error(`Nothing is staged of ${id}.`);
    if (staged.sealed === undefined && !staged.hasMultipart) return new TailsReader(this.#bucket, tailsFrom(staged.tails, 0));
    const size = staged.sealed ?? (await sealAll({ bucket: this.#bucket, reading: this.#reading }, id, staged, signal));
    return new ObjectReader(this.#bucket, bytesKey(id), size);
  }

  /** Makes one object of all staged bytes and locates it. */
  async locate(id: UploadId, signal?: AbortSignal): Promise<StagedFile | undefined> {
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
    // Also aborts multipart uploads whose id was not stored because of a crash. Lists by the whole key, since MinIO lists no others.
    if (hasMultipart || tails.length > 0 || keys.length === 0) await this.#abortAll(bytesKey(id));
    // On a server that cannot list multipart uploads, the one whose id is stored can still be aborted.
    if (hasMultipart && sealed === undefined) await this.#abortStored(id);
    await this.#bucket.remove(keys);
  }

  /** Reads what is staged, and unseals it or changes its part size if a body cannot be appended otherwise. */
  async #open(id: UploadId, offset: number, { completeBytes, requireHeld }: WriterOptions): Promise<Opened> {
    const s3 = { bucket: this.#bucket, reading: this.#reading };
    const staged = await readStaged(this.#bucket, id);
    const multipart = staged.hasMultipart ? await readMultipart(this.#bucket, id) : undefined;
    // The upload keeps its part size, unless it is too small now: the length was declared, or the size limit was raised, since.
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

  async #abortStored(id: UploadId): Promise<void> {
    try {
      await this.#bucket.multiparts.abort(bytesKey(id), (await readMultipart(this.#bucket, id)).uploadId);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  }

  async #abortAll(prefix: string): Promise<void> {
    for await (const { key, uploadId } of this.#bucket.multiparts.list(prefix)) await this.#bucket.multiparts.abort(key, uploadId);
  }

  /** @param present the upload's present part size */
  #partBytesOf(length: number | null, present = this.#options.partBytes): number {
    return partBytesFor(present, length ?? this.#options.maxUploadBytes);
  }
}
