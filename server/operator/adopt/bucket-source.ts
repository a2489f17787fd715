// Uploads in a bucket of @tus/s3-store or tusd: a multipart upload, an object `.info` with JSON, and an object `.part` with bytes that
// fill no part. An unfinished multipart upload cannot be read. So the parts of an upload that is adopted are first joined to an object. A
// later run sees by the size of that object that it is not complete, and continues from there.
import { text } from 'node:stream/consumers';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { Bucket } from '../../s3/bucket.ts';
import { isMissing } from '../../s3/fault.ts';
import type { StoredPart } from '../../s3/multiparts.ts';
import { streamObject } from '../../s3/object-stream.ts';
import { type AdoptionSource, type FoundUpload, readInfo, type UnusableUpload, type UploadInfo } from './source.ts';

const INFO = '.info';

/** The bytes of one upload in the bucket. */
interface StoredBytes {
  /** Size of the object, once there is one. */
  object: number | undefined;
  /** The parts, as long as there is no object. */
  parts: StoredPart[];
  /** Contiguous bytes from the first one on. */
  leading: number;
  /** Bytes of parts after a gap, whose offset is unknown. */
  misplaced: number;
  /** Bytes that fill no part. */
  tail: number;
}

/** How many bytes of an object are valid, if its parts had a gap. Noted numbers are durable. */
export interface CountedBytes {
  of(key: string): Promise<number | undefined>;
  note(key: string, bytes: number): Promise<void>;
}

export class BucketSource implements AdoptionSource {
  readonly #bucket: Bucket;
  readonly #counted: CountedBytes;
  /** Prefix of each key. The ids of tusd do not contain it. */
  readonly #prefix: string;
  readonly #isTusd: boolean;

  /** @param bucket without a prefix of its own */
  constructor(bucket: Bucket, prefix: string, isTusd: boolean, counted: CountedBytes) {
    this.#bucket = bucket;
    this.#counted = counted;
    this.#prefix = prefix;
    this.#isTusd = isTusd;
  }

  async *uploads(): AsyncIterable<FoundUpload | UnusableUpload> {
    for await (const { key } of this.#bucket.list(this.#prefix)) {
      if (key.endsWith(INFO)) yield await this.#read(key.slice(0, -INFO.length));
    }
  }

  close(): void {
    this.#bucket.close();
  }

  async #read(key: string): Promise<FoundUpload | UnusableUpload> {
    const infoKey = `${key}${INFO}`;
    const info = readInfo(await text(await this.#bucket.stream(infoKey)));
    const id = info?.id ?? key;
    if (info === undefined || !this.#names(info, key)) return { id, reason: 'its .info object is not readable' };
    if (info.isPartial) return { id, reason: 'it is a part of a parallel upload: its sender must start again' };
    const head = await this.#bucket.probing.send(new HeadObjectCommand(this.#bucket.at(infoKey)));
    const uploadId = this.#isTusd ? id.slice(id.indexOf('+') + 1) : head.Metadata?.['upload-id'];
    if (uploadId === undefined) return { id, reason: 'its .info object does not name its multipart upload' };
    const held = await this.#held(key, uploadId);
    if (held === undefined) return { id, reason: 'its bytes are gone', remove: () => this.#remove(key, uploadId) };
    const stored = held.object ?? held.leading;
    const offset = stored + held.tail;
    const { length } = info;
    if (length !== null && offset > length) return { id, reason: `it has ${offset} bytes of ${length}` };
    return {
      id,
      length,
      offset,
      ...(held.misplaced > 0 && { acknowledged: offset + held.misplaced }),
      metadata: info.metadata,
      createdAt: info.createdAt ?? head.LastModified?.getTime() ?? Date.now(),
      content: () => this.#content(key, uploadId, held),
      remove: () => this.#remove(key, uploadId),
    };
  }

  /** An id of tusd joins the key of the object and the id of the multipart upload. */
  #names({ id = '' }: UploadInfo, key: string): boolean {
    return this.#isTusd ? `${this.#prefix}${id.split('+')[0]}` === key && id.includes('+') : id === key;
  }

  /** Undefined: there is neither an object nor a part. */
  async #held(key: string, uploadId: string): Promise<StoredBytes | undefined> {
    const tail = (await this.#bucket.head(tailOf(key)))?.size ?? 0;
    const listed = await this.#bucket.multiparts.parts(key, uploadId).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (listed !== undefined) {
      const gap = listed.findIndex(({ number }, index) => number !== index + 1);
      const leading = sizeOf(gap === -1 ? listed : listed.slice(0, gap));
      const misplaced = sizeOf(listed) - leading;
      return { object: undefined, parts: listed, leading, misplaced, tail: gap === -1 ? tail : 0 };
    }
    const found = await this.#bucket.head(key);
    if (found === undefined) return undefined;
    const object = (await this.#counted.of(key)) ?? found.size;
    return { object, parts: [], leading: object, misplaced: found.size - object, tail: object === found.size ? tail : 0 };
  }

  async *#content(key: string, uploadId: string, { object, parts, leading, misplaced, tail }: StoredBytes): AsyncIterable<Buffer> {
    if (object === undefined && parts.length > 0) {
      // All parts, because some servers complete an upload only with all of its parts.
      if (misplaced > 0) await this.#counted.note(key, leading);
      await this.#bucket.multiparts.complete(key, uploadId, parts);
    }
    if (leading > 0) yield* streamObject(this.#bucket, key, 0, leading);
    if (tail > 0) yield* streamObject(this.#bucket, tailOf(key), 0, tail);
  }

  /** The .info object goes last: a later run finds the upload by it. */
  async #remove(key: string, uploadId: string): Promise<void> {
    await this.#bucket.multiparts.abort(key, uploadId);
    await this.#bucket.remove([key, tailOf(key)]);
    await this.#bucket.remove([`${key}${INFO}`]);
  }
}

function tailOf(key: string): string {
  return `${key}.part`;
}

function sizeOf(parts: readonly StoredPart[]): number {
  return parts.reduce((sum, { size }) => sum + size, 0);
}
