// Final files in S3, under `files/YYYY/MM/DD/<id>/<attempt>/<name>`. Not every S3 server has a way to publish that only one of two
// writers can win. So each attempt has a key of its own, and the ledger's row names the one that counts. Copied bytes were inspected
// before, and stay inside S3.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { posix } from 'node:path';
import { Readable } from 'node:stream';
import { parseUploadId, type UploadId } from '../ledger/upload-id.ts';
import type { Bucket } from '../s3/bucket.ts';
import type { ObjectHeaders } from '../s3/key-prefix.ts';
import type { StoredPart } from '../s3/multiparts.ts';
import { streamObject } from '../s3/object-stream.ts';
import { MIN_PART_BYTES, partBytesFor } from '../staging/s3/s3-parts.ts';
import type { StagedObject, Staging } from '../staging/staging.ts';
import { dispositionOf } from './disposition.ts';
import { type Delivery, deliverObject } from './s3-delivery.ts';
import { checkedContent } from './staged-content.ts';
import { StagedBytesGone, type Storage, type Target } from './storage.ts';

export interface S3StorageOptions {
  bucket: Bucket;
  staging: Staging;
  /** Objects with more bytes are copied in parts; S3 itself requires that above 5 GiB. */
  copyThresholdBytes: number;
  delivery: Delivery;
}

const FILES = 'files/';
const MIB = 1024 * 1024;
/** Small enough to be copied in seconds, and retried. */
const COPY_PART_BYTES = 1024 * MIB;
const COPIES_AT_ONCE = 8;
/** Bytes in memory for each upload that is read to be published. */
const READ_PART_BYTES = 16 * MIB;

export class S3Storage implements Storage {
  readonly #options: S3StorageOptions;
  readonly #bucket: Bucket;

  constructor(options: S3StorageOptions) {
    this.#options = options;
    this.#bucket = options.bucket;
  }

  async publish({ id, directory, name, type, attempt, checksum }: Target, signal?: AbortSignal): Promise<string> {
    const { staging } = this.#options;
    const location = await staging.locate(id, signal);
    if (location === undefined) throw new StagedBytesGone('The staged bytes are gone.');
    const published = `${directory}/${attempt}`;
    const key = keyOf(published, name);
    const headers: ObjectHeaders = { ContentType: type, ContentDisposition: dispositionOf(name) };
    signal?.throwIfAborted();
    const size =
      location.object !== undefined && (await this.#isInThisS3(location.object))
        ? await this.#copy(location.object, key, headers, signal)
        : await this.#read(id, checksum, key, headers, signal);
    // The answer to a copy is no proof.
    const stored = await this.#bucket.head(key);
    if (stored?.size !== size) throw new Error(`${key}: ${stored?.size ?? 'no'} bytes were published of ${size}.`);
    return published;
  }

  retract({ directory, attempt }: Pick<Target, 'directory' | 'attempt'>): Promise<void> {
    return this.remove(`${directory}/${attempt}`);
  }

  async keepOnly(directory: string): Promise<void> {
    const upload = posix.dirname(directory);
    // The upload was published to a disk: the directories beside its own belong to other uploads.
    if (parseUploadId(posix.basename(upload)) === undefined) return;
    const keys: string[] = [];
    for await (const { key } of this.#bucket.list(`${FILES}${upload}/`)) {
      if (!key.startsWith(`${FILES}${directory}/`)) keys.push(key);
    }
    await this.#bucket.remove(keys);
  }

  async clearUnfinished(isRunning: (id: UploadId, attempt: number) => Promise<boolean>, isOver: () => boolean): Promise<void> {
    for await (const { key, uploadId } of this.#bucket.multiparts.list(FILES)) {
      if (isOver()) return;
      const [, , , name, attempt] = key.slice(FILES.length).split('/');
      const id = parseUploadId(name);
      // Other programs may use the bucket, too.
      if (id === undefined) continue;
      if (!(await isRunning(id, Number(attempt)))) await this.#bucket.multiparts.abort(key, uploadId);
    }
  }

  async size(directory: string, name: string): Promise<number | undefined> {
    return (await this.#bucket.head(keyOf(directory, name)))?.size;
  }

  read(directory: string, name: string, range?: { start: number; end: number }): Readable {
    const key = keyOf(directory, name);
    const bucket = this.#bucket;
    return Readable.from(
      (async function* () {
        const end = range?.end ?? (await bucket.head(key))?.size;
        if (end === undefined) throw new Error(`There is no ${key}.`);
        yield* streamObject(bucket, key, range?.start ?? 0, end);
      })(),
      { objectMode: false },
    );
  }

  deliver(request: IncomingMessage, response: ServerResponse, directory: string, name: string): Promise<void> {
    return deliverObject(this.#bucket, this.#options.delivery, request, response, keyOf(directory, name));
  }

  async remove(directory: string): Promise<void> {
    const keys: string[] = [];
    for await (const { key } of this.#bucket.list(`${FILES}${directory}/`)) keys.push(key);
    await this.#bucket.remove(keys);
  }

  /** Whether this S3 has the object: another server may have a different object with its name. */
  async #isInThisS3(object: StagedObject): Promise<boolean> {
    if (object.etag === undefined) return true;
    const found = await this.#bucket.headSource(object).catch(() => undefined);
    return found?.etag === object.etag && found.size === object.size;
  }

  async #copy(object: StagedObject, key: string, headers: ObjectHeaders, signal: AbortSignal | undefined): Promise<number> {
    const source = sourceOf(object);
    if (object.size > this.#options.copyThresholdBytes) await this.#copyInParts(source, object.size, key, headers, signal);
    else await this.#bucket.copy(source, key, headers, signal);
    return object.size;
  }

  /** For bytes that are not in this S3. */
  async #read(
    id: UploadId,
    checksum: number | undefined,
    key: string,
    headers: ObjectHeaders,
    signal: AbortSignal | undefined,
  ): Promise<number> {
    const reader = await this.#options.staging.open(id, signal);
    const { size } = reader;
    const partSize = partBytesFor(READ_PART_BYTES, size);
    const pieces = inPieces(checkedContent(reader, checksum), partSize);
    try {
      if (size <= partSize) {
        for await (const bytes of pieces) await this.#bucket.put(key, bytes, headers);
        if (size === 0) await this.#bucket.put(key, Buffer.alloc(0), headers);
        return size;
      }
      const uploadId = await this.#bucket.multiparts.start(key, headers);
      try {
        const parts: StoredPart[] = [];
        for await (const bytes of pieces) {
          signal?.throwIfAborted();
          parts.push(await this.#bucket.multiparts.put(key, uploadId, parts.length + 1, bytes));
        }
        signal?.throwIfAborted();
        await this.#bucket.multiparts.complete(key, uploadId, parts);
      } catch (error) {
        await this.#bucket.multiparts.abort(key, uploadId).catch(() => undefined);
        throw error;
      }
      return size;
    } finally {
      await reader.close();
    }
  }

  async #copyInParts(from: string, size: number, key: string, headers: ObjectHeaders, signal: AbortSignal | undefined): Promise<void> {
    const partBytes = partBytesFor(Math.max(MIN_PART_BYTES, Math.min(COPY_PART_BYTES, this.#options.copyThresholdBytes)), size);
    const count = Math.ceil(size / partBytes);
    const uploadId = await this.#bucket.multiparts.start(key, headers);
    const parts: StoredPart[] = [];
    let next = 0;
    const copy = async () => {
      while (next < count) {
        signal?.throwIfAborted();
        const index = next++;
        const start = index * partBytes;
        const end = Math.min(start + partBytes, size);
        parts[index] = await this.#bucket.multiparts.copy(key, uploadId, index + 1, from, start, end, signal);
      }
    };
    // Waits for all copies: a part that is copied after the abort would stay.
    const outcomes = await Promise.allSettled(Array.from({ length: COPIES_AT_ONCE }, copy));
    try {
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
      signal?.throwIfAborted();
      await this.#bucket.multiparts.complete(key, uploadId, parts);
    } catch (error) {
      await this.#bucket.multiparts.abort(key, uploadId).catch(() => undefined);
      throw error;
    }
  }
}

/** The object as the source of a copy, in S3's notation. */
function sourceOf({ bucket, key }: StagedObject): string {
  return `${bucket}/${key.split('/').map(encodeURIComponent).join('/')}`;
}

/** Pieces of equal size; the last one may be smaller. It comes only once the content is known to be complete. */
async function* inPieces(content: AsyncIterable<Buffer>, bytes: number): AsyncIterable<Buffer> {
  let gathered: Buffer[] = [];
  let size = 0;
  for await (let piece of content) {
    // Only when more follows: the last piece waits for the end, where the bytes read are compared with the bytes inspected.
    while (size + piece.byteLength > bytes) {
      const rest = bytes - size;
      yield Buffer.concat([...gathered, piece.subarray(0, rest)]);
      piece = piece.subarray(rest);
      gathered = [];
      size = 0;
    }
    gathered.push(Buffer.from(piece));
    size += piece.byteLength;
  }
  if (size > 0) yield Buffer.concat(gathered);
}

function keyOf(directory: string, name: string): string {
  return `${FILES}${directory}/${name}`;
}
