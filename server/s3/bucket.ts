// A bucket below a prefix: the requests Landfall makes, what their answers may be trusted with, and how they fail.
import type { Readable } from 'node:stream';
import {
  CopyObjectCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { ATTEMPTS, type ClientOptions, createClient } from './client.ts';
import { faultOf, isMissing, outcome, S3Fault } from './fault.ts';
import { KeyPrefix, type ObjectHeaders } from './key-prefix.ts';
import { Multiparts } from './multiparts.ts';

export interface BucketOptions extends ClientOptions {
  bucket: string;
  /** Where senders and readers reach it, for addresses that are signed for them; empty: at the same. */
  publicEndpoint: string;
  /** Before every key; ends with a slash, or is empty. */
  prefix: string;
  /** Connections for staging and publishing; downloads have their own, so that slow readers hold up nobody. */
  connections: number;
}

export interface StoredObject {
  /** Below the prefix. */
  key: string;
  size: number;
  etag: string;
  /** Where it was asked for by itself. */
  lastModified?: Date | undefined;
}

/** An object, or a range of it, on its way. */
export interface GivenObject {
  body: Readable;
  size: number;
  contentRange: string | undefined;
  lastModified: Date | undefined;
}

/** What S3 does by itself, up to 5 GiB of it, may take so many times as long as anything that moves over the line. */
const WORK_FACTOR = 10;
/** Timers of Node count in 31 bits. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Keys are below the prefix. Everything here throws S3Fault. */
export class Bucket {
  readonly multiparts: Multiparts;
  readonly #place: KeyPrefix;
  readonly #client: S3Client;
  /** For copies and completions: their answers come when the work is done. */
  readonly #patient: S3Client;
  readonly #downloads: S3Client;
  readonly #signing: S3Client;

  constructor(options: BucketOptions) {
    this.#place = new KeyPrefix(options.bucket, options.prefix);
    this.#client = createClient(options, options.connections);
    this.#patient = createClient(
      { ...options, timeoutMs: Math.min(options.timeoutMs * WORK_FACTOR, LONGEST_TIMER_MS) },
      options.connections,
    );
    this.multiparts = new Multiparts(this.#client, this.#patient, this.#place, async (key) => (await this.head(key))?.size);
    this.#downloads = createClient(options, Number.POSITIVE_INFINITY);
    this.#signing = createClient({ ...options, endpoint: options.publicEndpoint || options.endpoint }, 1);
  }

  /** Makes no requests: signs them for others. */
  get signing(): S3Client {
    return this.#signing;
  }

  /** As `signing`, for requests that this server makes itself. */
  get probing(): S3Client {
    return this.#client;
  }

  /** An object as the source of a copy. */
  source(key: string): string {
    return this.#place.source(key);
  }

  /** The parameters that name an object. */
  at(key: string): { Bucket: string; Key: string } {
    return this.#place.at(key);
  }

  async put(key: string, body: Uint8Array, headers: ObjectHeaders = {}): Promise<void> {
    await outcome(
      key,
      this.#client.send(new PutObjectCommand({ ...this.#place.at(key), ...headers, Body: body, ContentLength: body.byteLength })),
    );
  }

  /** False: there is one already. Servers that do not know the condition put it in the old one's stead. */
  async putNew(key: string, body: Uint8Array): Promise<boolean> {
    const put = new PutObjectCommand({ ...this.#place.at(key), Body: body, ContentLength: body.byteLength, IfNoneMatch: '*' });
    try {
      await outcome(key, this.#client.send(put));
      return true;
    } catch (error) {
      if (error instanceof S3Fault && (error.status === 412 || error.status === 409)) return false;
      throw error;
    }
  }

  async head(key: string): Promise<StoredObject | undefined> {
    try {
      const {
        ContentLength = 0,
        ETag = '',
        LastModified,
      } = await outcome(key, this.#client.send(new HeadObjectCommand(this.#place.at(key))));
      return { key, size: ContentLength, etag: ETag, lastModified: LastModified };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Bytes [start, end) in memory. @throws S3Fault also when fewer came */
  async read(key: string, start: number, end: number): Promise<Buffer> {
    if (end <= start) return Buffer.alloc(0);
    for (let attempt = 1; ; attempt++) {
      try {
        const pieces: Buffer[] = [];
        for await (const piece of await this.stream(key, { start, end })) pieces.push(piece as Buffer);
        const bytes = Buffer.concat(pieces);
        if (bytes.byteLength !== end - start) throw new S3Fault(`${key}: ${bytes.byteLength} bytes of ${end - start}.`, 'ShortRead');
        return bytes;
      } catch (error) {
        // The SDK repeats requests, not answers that break off.
        if (isMissing(error) || attempt === ATTEMPTS) throw error instanceof S3Fault ? error : faultOf(key, error);
      }
    }
  }

  /** The bytes as they come; a break of the connection is an error of the stream. */
  async stream(key: string, range?: { start: number; end?: number }): Promise<Readable> {
    const { body } = await this.get(key, range && `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}`);
    return body;
  }

  /** `range` is a header's. Over the connections of downloads. */
  async get(key: string, range?: string): Promise<GivenObject> {
    const get = new GetObjectCommand({ ...this.#place.at(key), ...(range === undefined ? {} : { Range: range }) });
    const { Body, ContentLength = 0, ContentRange, LastModified } = await outcome(key, this.#downloads.send(get));
    if (Body === undefined) throw new S3Fault(`${key}: an answer without a body.`, 'EmptyAnswer');
    return { body: Body as Readable, size: ContentLength, contentRange: ContentRange, lastModified: LastModified };
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    for (let token: string | undefined; ; ) {
      const { Key } = this.#place.at(prefix);
      const page = new ListObjectsV2Command({ Bucket: this.#place.bucket, Prefix: Key, ...(token && { ContinuationToken: token }) });
      const { Contents = [], NextContinuationToken, IsTruncated } = await outcome(prefix, this.#client.send(page));
      for (const object of Contents) yield { key: this.#place.below(object.Key), size: object.Size ?? 0, etag: object.ETag ?? '' };
      if (!IsTruncated || NextContinuationToken === undefined) return;
      token = NextContinuationToken;
    }
  }

  /** What lies directly below a prefix that ends with a slash, as far as it is a folder: its names. */
  async *folders(prefix: string): AsyncIterable<string> {
    for (let token: string | undefined; ; ) {
      const { Key } = this.#place.at(prefix);
      const page = new ListObjectsV2Command({
        Bucket: this.#place.bucket,
        Prefix: Key,
        Delimiter: '/',
        ...(token && { ContinuationToken: token }),
      });
      const { CommonPrefixes = [], NextContinuationToken, IsTruncated } = await outcome(prefix, this.#client.send(page));
      for (const { Prefix } of CommonPrefixes) yield this.#place.below(Prefix).slice(prefix.length, -1);
      if (!IsTruncated || NextContinuationToken === undefined) return;
      token = NextContinuationToken;
    }
  }

  /** One by one: deleting many with one request takes a checksum that servers do not agree on. */
  async remove(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => outcome(key, this.#client.send(new DeleteObjectCommand(this.#place.at(key))))));
  }

  /** An object that may be in another bucket, as this one's server has it. */
  async headSource({ bucket, key }: { bucket: string; key: string }): Promise<{ size: number; etag: string }> {
    const { ContentLength = 0, ETag = '' } = await outcome(key, this.#client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })));
    return { size: ContentLength, etag: ETag };
  }

  /** @param source an object, as `source` names one of this bucket */
  async copy(source: string, to: string, headers: ObjectHeaders, signal?: AbortSignal): Promise<void> {
    const copy = new CopyObjectCommand({
      ...this.#place.at(to),
      CopySource: source,
      MetadataDirective: 'REPLACE',
      ...headers,
    });
    await outcome(to, this.#patient.send(copy, signal && { abortSignal: signal }));
  }

  close(): void {
    this.#client.destroy();
    this.#patient.destroy();
    this.#downloads.destroy();
    this.#signing.destroy();
  }
}
