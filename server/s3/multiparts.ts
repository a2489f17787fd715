// Objects that are made of parts: begun, filled in any order, and one object once they are completed.
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

export interface StoredPart {
  number: number;
  size: number;
  etag: string;
}

/** Keys are below the prefix. Everything here throws S3Fault. */
export class Multiparts {
  readonly #client: S3Client;
  readonly #patient: S3Client;
  readonly #place: KeyPrefix;
  readonly #sizeOf: (key: string) => Promise<number | undefined>;

  /**
   * @param patient for what S3 works on for long before it answers
   * @param sizeOf of the object that there is under a key
   */
  constructor(client: S3Client, patient: S3Client, place: KeyPrefix, sizeOf: (key: string) => Promise<number | undefined>) {
    this.#client = client;
    this.#patient = patient;
    this.#place = place;
    this.#sizeOf = sizeOf;
  }

  async start(key: string, headers: ObjectHeaders = {}): Promise<string> {
    const { UploadId } = await outcome(key, this.#client.send(new CreateMultipartUploadCommand({ ...this.#place.at(key), ...headers })));
    if (UploadId === undefined) throw new S3Fault(`${key}: a multipart upload without an id.`, 'EmptyAnswer');
    return UploadId;
  }

  async put(key: string, uploadId: string, number: number, body: Uint8Array): Promise<StoredPart> {
    const part = { ...this.#place.at(key), UploadId: uploadId, PartNumber: number, Body: body, ContentLength: body.byteLength };
    const { ETag = '' } = await outcome(`${key}, part ${number}`, this.#client.send(new UploadPartCommand(part)));
    return { number, size: body.byteLength, etag: ETag };
  }

  /** Bytes [start, end) of another object, without their passing through here. @param source as `Bucket.source` names it */
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
      ...this.#place.at(key),
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

  /** In the order of their numbers, those above `number`. */
  async parts(key: string, uploadId: string, number = 0): Promise<StoredPart[]> {
    const parts: StoredPart[] = [];
    for (let after = number === 0 ? undefined : String(number); ; ) {
      const page = new ListPartsCommand({ ...this.#place.at(key), UploadId: uploadId, ...(after && { PartNumberMarker: after }) });
      const { Parts = [], IsTruncated, NextPartNumberMarker } = await outcome(key, this.#client.send(page));
      for (const { PartNumber = 0, Size = 0, ETag = '' } of Parts) parts.push({ number: PartNumber, size: Size, etag: ETag });
      if (!IsTruncated || NextPartNumberMarker === undefined) return parts;
      after = NextPartNumberMarker;
    }
  }

  /**
   * Makes one object of the parts. An answer that is lost, or that says 200 and means an error, proves nothing either way: what
   * counts is the object, and its size.
   */
  async complete(key: string, uploadId: string, parts: readonly StoredPart[]): Promise<void> {
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    const Parts = parts.map(({ number, etag }) => ({ PartNumber: number, ETag: etag }));
    const complete = new CompleteMultipartUploadCommand({ ...this.#place.at(key), UploadId: uploadId, MultipartUpload: { Parts } });
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

  /** Fine when it is gone already. */
  async abort(key: string, uploadId: string): Promise<void> {
    await outcome(key, this.#client.send(new AbortMultipartUploadCommand({ ...this.#place.at(key), UploadId: uploadId }))).catch(
      (error) => {
        if (!isMissing(error)) throw error;
      },
    );
  }

  /**
   * Unfinished multipart uploads of keys that begin so, as far as the server lists them: not every server knows all of this list,
   * and none of them may end a start or a sweep by it.
   */
  async *list(prefix: string): AsyncIterable<{ key: string; uploadId: string }> {
    for (let marker: Marker | undefined = {}; marker !== undefined; ) {
      const page: ListMultipartUploadsCommandOutput | undefined = await this.#page(prefix, marker);
      for (const { Key: key, UploadId = '' } of page?.Uploads ?? []) yield { key: this.#place.below(key), uploadId: UploadId };
      marker = page && nextMarker(page, marker);
    }
  }

  /** Undefined: the server has no such list, or does not go on with it. */
  async #page(prefix: string, marker: Marker): Promise<ListMultipartUploadsCommandOutput | undefined> {
    const command = new ListMultipartUploadsCommand({ Bucket: this.#place.bucket, Prefix: this.#place.at(prefix).Key, ...marker });
    try {
      return await outcome(prefix, this.#client.send(command));
    } catch (error) {
      if (isMissing(error) || (error instanceof S3Fault && error.status !== undefined && UNKNOWN.has(error.status))) return undefined;
      // Some servers refuse the marker that they gave. By the key alone the others of one key are passed over: one list finds them later.
      if (!(error instanceof S3Fault) || error.status !== 400 || marker.KeyMarker === undefined) throw error;
      return marker.UploadIdMarker === undefined ? undefined : this.#page(prefix, { KeyMarker: marker.KeyMarker });
    }
  }
}

interface Marker {
  KeyMarker?: string;
  UploadIdMarker?: string;
}

/** A request that the server does not know. */
const UNKNOWN = new Set([405, 501]);

/** Undefined: that was the last page. One that stays where it was would lead to the same page for ever. */
function nextMarker(
  { IsTruncated, NextKeyMarker, NextUploadIdMarker }: ListMultipartUploadsCommandOutput,
  last: Marker,
): Marker | undefined {
  if (!IsTruncated || !NextKeyMarker) return undefined;
  if (NextKeyMarker === last.KeyMarker && (NextUploadIdMarker ?? '') === (last.UploadIdMarker ?? '')) return undefined;
  return { KeyMarker: NextKeyMarker, ...(NextUploadIdMarker && { UploadIdMarker: NextUploadIdMarker }) };
}
