// Landfall's requests to a bucket, with all keys below a prefix.
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
  /** The endpoint in addresses that are signed for senders and readers; empty: the same endpoint. */
  publicEndpoint: string;
  /** Prefix of every key; ends with a slash, or is empty. */
  prefix: string;
  /** Connections for staging and publishing. Downloads have their own, so that slow readers do not block them. */
  connections: number;
}

export interface StoredObject {
  /** Below the prefix. */
  key: string;
  size: number;
  etag: string;
  /** Set by `head`, not by `list`. */
  lastModified?: Date | undefined;
}

/** The response with an object, or a range of it. */
export interface ObjectResponse {
  body: Readable;
  size: number;
  contentRange: string | undefined;
  lastModified: Date | undefined;
}

/** Work inside S3, on up to 5 GiB, may be silent for this many times the usual timeout. */
const WORK_FACTOR = 10;
/** Node's longest timer. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Keys are below the prefix. Every method throws S3Fault. */
export class Bucket {
  readonly multiparts: Multiparts;
  readonly #prefix: KeyPrefix;
  readonly #client: S3Client;
  /** For copies and completions, which S3 answers only when the work is done. */
  readonly #patient: S3Client;
  readonly #downloads: S3Client;
  readonly #signing: S3Client;

  constructor(options: BucketOptions) {
    this.#prefix = new KeyPrefix(options.bucket, options.prefix);
    this.#client = createClient(options, options.connections);
    this.#patient = createClient(
      { ...options, timeoutMs: Math.min(options.timeoutMs * WORK_FACTOR, LONGEST_TIMER_MS) },
      options.connections,
    );
    this.multiparts = new Multiparts(this.#client, this.#patient, this.#prefix, async (key) => (await this.head(key))?.size);
    this.#downloads = createClient(options, Number.POSITIVE_INFINITY);
    this.#signing = createClient({ ...options, endpoint: options.publicEndpoint || options.endpoint }, 1);
  }

  /** Signs requests for senders and readers; makes none itself. */
  get signing(): S3Client {
    return this.#signing;
  }

  /** Signs requests that this server makes itself. */
  get probing(): S3Client {
    return this.#client;
  }

  /** The name of an object as the source of a copy. */
  source(key: string): string {
    return this.#prefix.source(key);
  }

  /** The request parameters that name an object. */
  at(key: string): { Bucket: string; Key: string } {
    return this.#prefix.at(key);
  }

  async put(key: string, body: Uint8Array, headers: ObjectHeaders = {}): Promise<void> {
    await outcome(
      key,
      this.#client.send(new PutObjectCommand({ ...this.#prefix.at(key), ...headers, Body: body, ContentLength: body.byteLength })),
    );
  }

  /** Resolves to false when the object exists. A server that does not know the condition overwrites it. */
  async putNew(key: string, body: Uint8Array): Promise<boolean> {
    const put = new PutObjectCommand({ ...this.#prefix.at(key), Body: body, ContentLength: body.byteLength, IfNoneMatch: '*' });
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
      } = await outcome(key, this.#client.send(new HeadObjectCommand(this.#prefix.at(key))));
      return { key, size: ContentLength, etag: ETag, lastModified: LastModified };
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  }

  /** Reads bytes [start, end) into memory. @throws S3Fault also when fewer bytes arrive */
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
        // The SDK retries requests, but not responses that break off.
        if (isMissing(error) || attempt === ATTEMPTS) throw error instanceof S3Fault ? error : faultOf(key, error);
      }
    }
  }

  /** A stream of the bytes. A broken connection is an error of the stream. */
  async stream(key: string, range?: { start: number; end?: number }): Promise<Readable> {
    const { body } = await this.get(key, range && `bytes=${range.start}-${range.end === undefined ? '' : range.end - 1}`);
    return body;
  }

  /** Uses the connections of downloads. @param range value of the Range header */
  async get(key: string, range?: string): Promise<ObjectResponse> {
    const get = new GetObjectCommand({ ...this.#prefix.at(key), ...(range === undefined ? {} : { Range: range }) });
    const { Body, ContentLength = 0, ContentRange, LastModified } = await outcome(key, this.#downloads.send(get));
    if (Body === undefined) throw new S3Fault(`${key}: the response has no body.`, 'EmptyAnswer');
    return { body: Body as Readable, size: ContentLength, contentRange: ContentRange, lastModified: LastModified };
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    for (let token: string | undefined; ; ) {
      const { Key } = this.#prefix.at(prefix);
      const page = new ListObjectsV2Command({ Bucket: this.#prefix.bucket, Prefix: Key, ...(token && { ContinuationToken: token }) });
      const { Contents = [], NextContinuationToken, IsTruncated } = await outcome(prefix, this.#client.send(page));
      for (const object of Contents) yield { key: this.#prefix.below(object.Key), size: object.Size ?? 0, etag: object.ETag ?? '' };
      if (!IsTruncated || NextContinuationToken === undefined) return;
      token = NextContinuationToken;
    }
  }

  /** Names of the folders directly below a prefix that ends with a slash. */
  async *folders(prefix: string): AsyncIterable<string> {
    for (let token: string | undefined; ; ) {
      const { Key } = this.#prefix.at(prefix);
      const page = new ListObjectsV2Command({
        Bucket: this.#prefix.bucket,
        Prefix: Key,
        Delimiter: '/',
        ...(token && { ContinuationToken: token }),
      });
      const { CommonPrefixes = [], NextContinuationToken, IsTruncated } = await outcome(prefix, this.#client.send(page));
      for (const { Prefix } of CommonPrefixes) yield this.#prefix.below(Prefix).slice(prefix.length, -1);
      if (!IsTruncated || NextContinuationToken === undefined) return;
      token = NextContinuationToken;
    }
  }

  /** Deletes each with its own request: a request for many needs a checksum on which servers do not agree. */
  async remove(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => outcome(key, this.#client.send(new DeleteObjectCommand(this.#prefix.at(key))))));
  }

  /** Asks this bucket's server for an object that may be in another bucket. */
  async headSource({ bucket, key }: { bucket: string; key: string }): Promise<{ size: number; etag: string }> {
    const { ContentLength = 0, ETag = '' } = await outcome(key, this.#client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })));
    return { size: ContentLength, etag: ETag };
  }

  /** Copies an object within S3. @param source name of the object, as `source` returns it */
  async copy(source: string, to: string, headers: ObjectHeaders, signal?: AbortSignal): Promise<void> {
    const copy = new CopyObjectCommand({
      ...this.#prefix.at(to),
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
