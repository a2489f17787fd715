// A bucket below a prefix: the requests Landfall makes, what their answers may be trusted with, and how they fail.
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import type { Readable } from 'node:stream';
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadBucketCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  ListPartsCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { PayloadHash } from './payload-hash.ts';

export interface BucketOptions {
  bucket: string;
  region: string;
  /** Empty: AWS's own for the region. */
  endpoint: string;
  /** Where senders and readers reach it, for addresses that are signed for them; empty: at the same. */
  publicEndpoint: string;
  /** Before every key; ends with a slash, or is empty. */
  prefix: string;
  forcePathStyle: boolean;
  /** Connections for staging and publishing; downloads have their own, so that slow readers hold up nobody. */
  connections: number;
  /** A request on which nothing moves for so long is given up and made again. */
  timeoutMs: number;
  /** Whether to send the checksums of newer SDKs, which some servers refuse. */
  checksums: 'required' | 'supported';
}

export interface StoredObject {
  /** Below the prefix. */
  key: string;
  size: number;
  etag: string;
}

export interface StoredPart {
  number: number;
  size: number;
  etag: string;
}

/** What an object carries beside its bytes. */
export interface ObjectHeaders {
  ContentType?: string;
  ContentDisposition?: string;
}

/** S3 did not do what it was asked, after all retries. */
export class S3Fault extends Error {
  override readonly name = 'S3Fault';
  /** So that it is told from a mistake of ours: storage is not there, try again. */
  readonly code = 'ES3';
  /** What S3 calls it: `NoSuchKey`, `SlowDown`. */
  readonly reason: string;
  readonly status: number | undefined;

  constructor(message: string, reason: string, status?: number, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
    this.status = status;
  }
}

const ATTEMPTS = 5;
const CONNECT_MS = 5000;
const MISSING = new Set(['NoSuchKey', 'NotFound', 'NoSuchUpload']);

export function isMissing(error: unknown): boolean {
  return error instanceof S3Fault && (MISSING.has(error.reason) || error.status === 404);
}

/** With limits on silence, which the SDK by itself waits out for ever. */
function createClient(options: BucketOptions, maxSockets: number): S3Client {
  const { endpoint, region, forcePathStyle, timeoutMs, checksums } = options;
  const when = checksums === 'supported' ? 'WHEN_SUPPORTED' : 'WHEN_REQUIRED';
  const client = new S3Client({
    region,
    forcePathStyle,
    maxAttempts: ATTEMPTS,
    requestChecksumCalculation: when,
    responseChecksumValidation: when,
    sha256: PayloadHash,
    ...(endpoint === '' ? {} : { endpoint }),
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      socketTimeout: timeoutMs,
      httpAgent: new HttpAgent({ keepAlive: true, maxSockets }),
      httpsAgent: new HttpsAgent({ keepAlive: true, maxSockets }),
    },
  });
  return client;
}

/** Keys are below the prefix. Everything here throws S3Fault. */
export class Bucket {
  readonly #bucket: string;
  readonly #prefix: string;
  readonly #client: S3Client;
  readonly #downloads: S3Client;
  readonly #signing: S3Client;

  constructor(options: BucketOptions) {
    this.#bucket = options.bucket;
    this.#prefix = options.prefix;
    this.#client = createClient(options, options.connections);
    this.#downloads = createClient(options, Number.POSITIVE_INFINITY);
    this.#signing = createClient({ ...options, endpoint: options.publicEndpoint || options.endpoint }, 1);
  }

  /** Makes no requests: signs them for others. */
  get signing(): S3Client {
    return this.#signing;
  }

  /** The parameters that name an object. */
  at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#bucket, Key: this.#prefix + key };
  }

  async check(): Promise<void> {
    await this.#do('HeadBucket', this.#client.send(new HeadBucketCommand({ Bucket: this.#bucket })));
  }

  async put(key: string, body: Uint8Array, headers: ObjectHeaders = {}): Promise<void> {
    await this.#do(
      key,
      this.#client.send(new PutObjectCommand({ ...this.at(key), ...headers, Body: body, ContentLength: body.byteLength })),
    );
  }

  /** False: there is one already. Servers that do not know the condition put it in the old one's stead. */
  async putNew(key: string, body: Uint8Array): Promise<boolean> {
    const put = new PutObjectCommand({ ...this.at(key), Body: body, ContentLength: body.byteLength, IfNoneMatch: '*' });
    try {
      await this.#do(key, this.#client.send(put));
      return true;
    } catch (error) {
      if (error instanceof S3Fault && (error.status === 412 || error.status === 409)) return false;
      throw error;
    }
  }

  async head(key: string): Promise<StoredObject | undefined> {
    try {
      const { ContentLength = 0, ETag = '' } = await this.#do(key, this.#client.send(new HeadObjectCommand(this.at(key))));
      return { key, size: ContentLength, etag: ETag };
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
  async get(key: string, range?: string): Promise<{ body: Readable; size: number; contentRange: string | undefined }> {
    const get = new GetObjectCommand({ ...this.at(key), ...(range === undefined ? {} : { Range: range }) });
    const { Body, ContentLength = 0, ContentRange } = await this.#do(key, this.#downloads.send(get));
    if (Body === undefined) throw new S3Fault(`${key}: an answer without a body.`, 'EmptyAnswer');
    return { body: Body as Readable, size: ContentLength, contentRange: ContentRange };
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    for (let token: string | undefined; ; ) {
      const { Key } = this.at(prefix);
      const page = new ListObjectsV2Command({ Bucket: this.#bucket, Prefix: Key, ...(token && { ContinuationToken: token }) });
      const { Contents = [], NextContinuationToken, IsTruncated } = await this.#do(prefix, this.#client.send(page));
      for (const object of Contents) yield { key: this.#below(object.Key), size: object.Size ?? 0, etag: object.ETag ?? '' };
      if (!IsTruncated || NextContinuationToken === undefined) return;
      token = NextContinuationToken;
    }
  }

  /** What lies directly below a prefix that ends with a slash, as far as it is a folder: its names. */
  async *folders(prefix: string): AsyncIterable<string> {
    for (let token: string | undefined; ; ) {
      const { Key } = this.at(prefix);
      const page = new ListObjectsV2Command({
        Bucket: this.#bucket,
        Prefix: Key,
        Delimiter: '/',
        ...(token && { ContinuationToken: token }),
      });
      const { CommonPrefixes = [], NextContinuationToken, IsTruncated } = await this.#do(prefix, this.#client.send(page));
      for (const { Prefix } of CommonPrefixes) yield this.#below(Prefix).slice(prefix.length, -1);
      if (!IsTruncated || NextContinuationToken === undefined) return;
      token = NextContinuationToken;
    }
  }

  /** One by one: deleting many with one request takes a checksum that servers do not agree on. */
  async remove(keys: readonly string[]): Promise<void> {
    await Promise.all(keys.map((key) => this.#do(key, this.#client.send(new DeleteObjectCommand(this.at(key))))));
  }

  async copy(from: string, to: string, headers: ObjectHeaders): Promise<void> {
    const copy = new CopyObjectCommand({ ...this.at(to), CopySource: this.#source(from), MetadataDirective: 'REPLACE', ...headers });
    await this.#do(to, this.#client.send(copy));
  }

  async startMultipart(key: string, headers: ObjectHeaders = {}): Promise<string> {
    const { UploadId } = await this.#do(key, this.#client.send(new CreateMultipartUploadCommand({ ...this.at(key), ...headers })));
    if (UploadId === undefined) throw new S3Fault(`${key}: a multipart upload without an id.`, 'EmptyAnswer');
    return UploadId;
  }

  async putPart(key: string, uploadId: string, number: number, body: Uint8Array): Promise<StoredPart> {
    const part = { ...this.at(key), UploadId: uploadId, PartNumber: number, Body: body, ContentLength: body.byteLength };
    const { ETag = '' } = await this.#do(`${key}, part ${number}`, this.#client.send(new UploadPartCommand(part)));
    return { number, size: body.byteLength, etag: ETag };
  }

  /** Bytes [start, end) of another object, without their passing through here. */
  async copyPart(key: string, uploadId: string, number: number, from: string, start: number, end: number): Promise<StoredPart> {
    const part = {
      ...this.at(key),
      UploadId: uploadId,
      PartNumber: number,
      CopySource: this.#source(from),
      CopySourceRange: `bytes=${start}-${end - 1}`,
    };
    const { CopyPartResult } = await this.#do(`${key}, part ${number}`, this.#client.send(new UploadPartCopyCommand(part)));
    return { number, size: end - start, etag: CopyPartResult?.ETag ?? '' };
  }

  /** In the order of their numbers. */
  async parts(key: string, uploadId: string): Promise<StoredPart[]> {
    const parts: StoredPart[] = [];
    for (let after: string | undefined; ; ) {
      const page = new ListPartsCommand({ ...this.at(key), UploadId: uploadId, ...(after && { PartNumberMarker: after }) });
      const { Parts = [], IsTruncated, NextPartNumberMarker } = await this.#do(key, this.#client.send(page));
      for (const { PartNumber = 0, Size = 0, ETag = '' } of Parts) parts.push({ number: PartNumber, size: Size, etag: ETag });
      if (!IsTruncated || NextPartNumberMarker === undefined) return parts;
      after = NextPartNumberMarker;
    }
  }

  /**
   * Makes one object of the parts. An answer that is lost, or that says 200 and means an error, proves nothing either way: what
   * counts is the object, and its size.
   */
  async completeMultipart(key: string, uploadId: string, parts: readonly StoredPart[]): Promise<void> {
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    const complete = new CompleteMultipartUploadCommand({ ...this.at(key), UploadId: uploadId, MultipartUpload: { Parts } });
    let fault: unknown;
    try {
      await this.#do(key, this.#client.send(complete));
    } catch (error) {
      fault = error;
    }
    const made = await this.head(key);
    if (made?.size === size) return;
    throw fault ?? new S3Fault(`${key}: ${made?.size ?? 'no'} bytes were made of ${size}.`, 'Incomplete');
  }

  /** Fine when it is gone already. */
  async abortMultipart(key: string, uploadId: string): Promise<void> {
    await this.#do(key, this.#client.send(new AbortMultipartUploadCommand({ ...this.at(key), UploadId: uploadId }))).catch((error) => {
      if (!isMissing(error)) throw error;
    });
  }

  /** Unfinished multipart uploads of keys that begin so. */
  async *multiparts(prefix: string): AsyncIterable<{ key: string; uploadId: string }> {
    for (let marker: { KeyMarker?: string; UploadIdMarker?: string } = {}; ; ) {
      const { Key } = this.at(prefix);
      const page = await this.#do(
        prefix,
        this.#client.send(new ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: Key, ...marker })),
      );
      for (const { Key: key, UploadId = '' } of page.Uploads ?? []) yield { key: this.#below(key), uploadId: UploadId };
      if (!page.IsTruncated || page.NextKeyMarker === undefined) return;
      marker = { KeyMarker: page.NextKeyMarker, ...(page.NextUploadIdMarker && { UploadIdMarker: page.NextUploadIdMarker }) };
    }
  }

  close(): void {
    this.#client.destroy();
    this.#downloads.destroy();
    this.#signing.destroy();
  }

  #below(key = ''): string {
    return key.slice(this.#prefix.length);
  }

  #source(key: string): string {
    return `${this.#bucket}/${(this.#prefix + key).split('/').map(encodeURIComponent).join('/')}`;
  }

  async #do<T>(what: string, request: Promise<T>): Promise<T> {
    try {
      return await request;
    } catch (error) {
      throw faultOf(what, error);
    }
  }
}

function faultOf(what: string, error: unknown): S3Fault {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  const metadata = error instanceof Error && '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }) : {};
  return new S3Fault(`S3, ${what}: ${name}: ${message}`, name, metadata.httpStatusCode, error);
}
