// Uploads in a bucket of @tus/s3-store, or of tusd: a multipart upload, an object `.info` of JSON, and one `.part` of what fills no part.
// An unfinished multipart upload can't be read. So the parts of one that is to be adopted are made an object first: from then on the
// size of that object tells that it is not the whole, and running this again goes on from there.
import { text } from 'node:stream/consumers';
import { HeadObjectCommand } from '@aws-sdk/client-s3';
import type { Bucket } from '../../s3/bucket.ts';
import { isMissing } from '../../s3/fault.ts';
import type { StoredPart } from '../../s3/multiparts.ts';
import { streamObject } from '../../s3/object-stream.ts';
import { type AdoptionSource, type FoundUpload, readInfo, type UnusableUpload, type UploadInfo } from './source.ts';

const INFO = '.info';

/** What lies in the bucket of one upload. */
interface Held {
  /** Of the object, once there is one. */
  object: number | undefined;
  /** Where there is no object yet. */
  parts: StoredPart[];
  /** Bytes of those that follow one another from the first. */
  leading: number;
  /** Bytes of parts that come after a gap: where they belong, nobody can tell. */
  astray: number;
  /** Of what fills no part. */
  tail: number;
}

/** How many bytes of an object count, where it was made of parts with a gap among them. What is noted is durable. */
export interface CountedBytes {
  of(key: string): Promise<number | undefined>;
  note(key: string, bytes: number): Promise<void>;
}

export class BucketSource implements AdoptionSource {
  readonly #bucket: Bucket;
  readonly #counted: CountedBytes;
  /** Before each key; ids have none of it at tusd. */
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
    if (info === undefined || !this.#names(info, key)) return { id, reason: 'what is said of it beside it is not readable' };
    if (info.isPartial) return { id, reason: 'it is a part of a parallel upload: its sender begins anew' };
    const head = await this.#bucket.probing.send(new HeadObjectCommand(this.#bucket.at(infoKey)));
    const uploadId = this.#isTusd ? id.slice(id.indexOf('+') + 1) : head.Metadata?.['upload-id'];
    if (uploadId === undefined) return { id, reason: 'what is said of it beside it does not name its parts' };
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
      ...(held.astray > 0 && { told: offset + held.astray }),
      metadata: info.metadata,
      createdAt: info.createdAt ?? head.LastModified?.getTime() ?? Date.now(),
      content: () => this.#content(key, uploadId, held),
      remove: () => this.#remove(key, uploadId),
    };
  }

  /** At tusd an id is the object's and the multipart upload's, joined. */
  #names({ id = '' }: UploadInfo, key: string): boolean {
    return this.#isTusd ? `${this.#prefix}${id.split('+')[0]}` === key && id.includes('+') : id === key;
  }

  /** Undefined: neither an object nor parts are there. */
  async #held(key: string, uploadId: string): Promise<Held | undefined> {
    const tail = (await this.#bucket.head(tailOf(key)))?.size ?? 0;
    const listed = await this.#bucket.multiparts.parts(key, uploadId).catch((error: unknown) => {
      if (isMissing(error)) return undefined;
      throw error;
    });
    if (listed !== undefined) {
      const gap = listed.findIndex(({ number }, index) => number !== index + 1);
      const leading = sizeOf(gap === -1 ? listed : listed.slice(0, gap));
      const astray = sizeOf(listed) - leading;
      return { object: undefined, parts: listed, leading, astray, tail: gap === -1 ? tail : 0 };
    }
    const made = await this.#bucket.head(key);
    if (made === undefined) return undefined;
    const object = (await this.#counted.of(key)) ?? made.size;
    return { object, parts: [], leading: object, astray: made.size - object, tail: object === made.size ? tail : 0 };
  }

  async *#content(key: string, uploadId: string, { object, parts, leading, astray, tail }: Held): AsyncIterable<Buffer> {
    if (object === undefined && parts.length > 0) {
      // Of all parts, for some servers take no fewer than there are.
      if (astray > 0) await this.#counted.note(key, leading);
      await this.#bucket.multiparts.complete(key, uploadId, parts);
    }
    if (leading > 0) yield* streamObject(this.#bucket, key, 0, leading);
    if (tail > 0) yield* streamObject(this.#bucket, tailOf(key), 0, tail);
  }

  /** What is said of it goes last: without it nothing would be looked for. */
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
