// Multipart uploads of S3: started, filled in any order, and one object once they are completed.
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  ListPartsCommand,
  type S3Client,
  UploadPartCommand,
  UploadPartCopyCommand,
} from '@aws-sdk/client-s3';
import { isMissing, outcome, S3Fault } from './fault.ts';
import type { KeyPrefix, ObjectHeaders } from './key-prefix.ts';
import { setPayloadHash } from './payload-hash.ts';

export interface StoredPart {
  number: number;
  size: number;
  etag: string;
}

/** Keys are below the prefix. Every method throws S3Fault. */
export class Multiparts {
  readonly #client: S3Client;
  readonly #patient: S3Client;
  readonly #prefix: KeyPrefix;
  readonly #sizeOf: (key: string) => Promise<number | undefined>;

  /**
   * @param patient client for requests on which S3 works for long before it answers
   * @param sizeOf returns the size of the object under a key
   */
  constructor(client: S3Client, patient: S3Client, prefix: KeyPrefix, sizeOf: (key: string) => Promise<number | undefined>) {
    this.#client = client;
    this.#patient = patient;
    this.#prefix = prefix;
    this.#sizeOf = sizeOf;
  }

  async start(key: string, headers: ObjectHeaders = {}): Promise<string> {
    const { UploadId } = await outcome(key, this.#client.send(new CreateMultipartUploadCommand({ ...this.#prefix.at(key), ...headers })));
    if (UploadId === undefined) throw new S3Fault(`${key}: the multipart upload has no id.`, 'EmptyAnswer');
    return UploadId;
  }

  /** @param sha256 SHA-256 of the body in hex, which the signature needs; by default it is computed here */
  async put(key: string, uploadId: string, number: number, body: Uint8Array, sha256?: string): Promise<StoredPart> {
    const part = { ...this.#prefix.at(key), UploadId: uploadId, PartNumber: number, Body: body, ContentLength: body.byteLength };
    const command = new UploadPartCommand(part);
    if (sha256 !== undefined) setPayloadHash(command, sha256);
    const { ETag = '' } = await outcome(`${key}, part ${number}`, this.#client.send(command));
    return { number, size: body.byteLength, etag: ETag };
  }

  /** Copies bytes [start, end) of another object to a part, within S3. @param source name of the object, from `Bucket.source` */
  async copy(
    key: string,
    uploadId: string,
    number: number,
    source: string,
    start: number,
    end: number,
    signal?: AbortSignal,
  ): Promise<StoredPart> {
    const part = {
      ...this.#prefix.at(key),
      UploadId: uploadId,
      PartNumber: number,
      CopySource: source,
      CopySourceRange: `bytes=${start}-${end - 1}`,
    };
    const { CopyPartResult } = await outcome(
      `${key}, part ${number}`,
      this.#patient.send(new UploadPartCopyCommand(part), signal && { abortSignal: signal }),
    );
    return { number, size: end - start, etag: CopyPartResult?.ETag ?? '' };
  }

  /** The parts above `number`, in the order of their numbers. */
  async parts(key: string, uploadId: string, number = 0): Promise<StoredPart[]> {
    const parts: StoredPart[] = [];
    for (let after = number === 0 ? undefined : String(number); ; ) {
      const page = new ListPartsCommand({ ...this.#prefix.at(key), UploadId: uploadId, ...(after && { PartNumberMarker: after }) });
      const { Parts = [], IsTruncated, NextPartNumberMarker } = await outcome(key, this.#client.send(page));
      for (const { PartNumber = 0, Size = 0, ETag = '' } of Parts) parts.push({ number: PartNumber, size: Size, etag: ETag });
      if (!IsTruncated || NextPartNumberMarker === undefined) return parts;
      after = NextPartNumberMarker;
    }
  }

  /**
   * Makes one object of the parts. The response may be lost, or be an error with status 200, so the size of the object decides whether
   * it succeeded.
   */
  async complete(key: string, uploadId: string, parts: readonly StoredPart[]): Promise<void> {
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    const complete = new CompleteMultipartUploadCommand({ ...this.#prefix.at(key), UploadId: uploadId, MultipartUpload: { Parts } });
    let fault: unknown;
    try {
      await outcome(key, this.#patient.send(complete));
    } catch (error) {
      fault = error;
    }
    const made = await this.#sizeOf(key);
    if (made === size) return;
    throw fault ?? new S3Fault(`${key}: ${made ?? 'no'} bytes were made of ${size}.`, 'Incomplete');
  }

  /** Idempotent. */
  async abort(key: string, uploadId: string): Promise<void> {
    await outcome(key, this.#client.send(new AbortMultipartUploadCommand({ ...this.#prefix.at(key), UploadId: uploadId }))).catch(
      (error) => {
        if (!isMissing(error)) throw error;
      },
    );
  }

  /**
   * Unfinished multipart uploads of keys with this prefix, as far as the server lists them. Not every server has all of this list, which
   * must not make a start or a sweep fail.
   */
  async *list(prefix: string): AsyncIterable<{ key: string; uploadId: string }> {
    for (let marker: Marker | undefined = {}; marker !== undefined; ) {
      const page: ListMultipartUploadsCommandOutput | undefined = await this.#page(prefix, marker);
      for (const { Key: key, UploadId = '' } of page?.Uploads ?? []) yield { key: this.#prefix.below(key), uploadId: UploadId };
      marker = page && nextMarker(page, marker);
    }
  }

  /** Resolves to undefined when the server has no such list, or does not continue it. */
  async #page(prefix: string, marker: Marker): Promise<ListMultipartUploadsCommandOutput | undefined> {
    const command = new ListMultipartUploadsCommand({ Bucket: this.#prefix.bucket, Prefix: this.#prefix.at(prefix).Key, ...marker });
    try {
      return await outcome(prefix, this.#client.send(command));
    } catch (error) {
      if (isMissing(error) || (error instanceof S3Fault && error.status !== undefined && UNKNOWN.has(error.status))) return undefined;
      // Some servers refuse their own marker. Continuing by the key alone skips the other uploads of that key; a later list finds them.
      if (!(error instanceof S3Fault) || error.status !== 400 || marker.KeyMarker === undefined) throw error;
      return marker.UploadIdMarker === undefined ? undefined : this.#page(prefix, { KeyMarker: marker.KeyMarker });
    }
  }
}

interface Marker {
  KeyMarker?: string;
  UploadIdMarker?: string;
}

/** Statuses for a request that the server does not know. */
const UNKNOWN = new Set([405, 501]);

/** Undefined after the last page, and for an unchanged marker, which would lead to the same page for ever. */
function nextMarker(
  { IsTruncated, NextKeyMarker, NextUploadIdMarker }: ListMultipartUploadsCommandOutput,
  last: Marker,
): Marker | undefined {
  if (!IsTruncated || !NextKeyMarker) return undefined;
  if (NextKeyMarker === last.KeyMarker && (NextUploadIdMarker ?? '') === (last.UploadIdMarker ?? '')) return undefined;
  return { KeyMarker: NextKeyMarker, ...(NextUploadIdMarker && { UploadIdMarker: NextUploadIdMarker }) };
}
