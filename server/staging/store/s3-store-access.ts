// Access to @tus/s3-store, which keeps an upload in parts of any size, takes their sum for the offset, and keeps the rest in an object
// beside them. This code lists the parts in S3 and counts them up to the first gap. It keeps a copy of the bytes that the store will
// store again, until they are stored.
import { Readable } from 'node:stream';
import type { S3 } from '@aws-sdk/client-s3';
import type { DataStore } from '@tus/utils';
import type { StagedFile } from '../staging.ts';
import { type HeldBytes, StoreAccess } from './store-access.ts';
import { StoreFault, storeOutcome, unlessMissing } from './store-fault.ts';

/** The part of the store that is used here. */
interface S3StoreLike {
  bucket: string;
  client: S3;
  preferredPartSize: number;
  minPartSize: number;
  maxMultipartParts: number;
  clearCache(name: string): Promise<void>;
}

export function isS3Store(store: unknown): store is DataStore & S3StoreLike {
  const { bucket, client } = store as { bucket?: unknown; client?: Partial<S3> };
  return typeof bucket === 'string' && typeof client?.listParts === 'function';
}

interface Parts {
  length: number | null;
  isCompleted: boolean;
  /** Bytes of the parts without a gap, from the first one on. */
  size: number;
  hasGap: boolean;
}

export class S3StoreAccess extends StoreAccess {
  readonly #s3: S3StoreLike;
  readonly #maxUploadBytes: number;

  constructor(store: DataStore & S3StoreLike, maxUploadBytes: number) {
    super(store);
    this.#s3 = store;
    this.#maxUploadBytes = maxUploadBytes;
  }

  /** A slice is one part, so that a failed part has no part behind it. Its size follows from the length and the store's smallest part. */
  override sliceBytes(length: number | null): number {
    const { preferredPartSize, minPartSize, maxMultipartParts } = this.#s3;
    return Math.max(preferredPartSize, minPartSize, Math.ceil((length ?? this.#maxUploadBytes) / maxMultipartParts));
  }

  override async declareLength(name: string, length: number): Promise<void> {
    await super.declareLength(name, length);
    // The store's cache may still have the upload without a length.
    await this.#s3.clearCache(name);
  }

  override async held(name: string): Promise<HeldBytes | undefined> {
    await this.#s3.clearCache(name);
    const parts = await this.#parts(name);
    if (parts === undefined) return undefined;
    const { length, isCompleted, hasGap } = parts;
    if (isCompleted) {
      const size = await this.#sizeOf(name);
      return size === undefined ? undefined : { size, length, isSealed: true, hasGap: false };
    }
    return { size: parts.size + ((await this.#sizeOf(tailKey(name))) ?? 0), length, isSealed: false, hasGap };
  }

  override async unsettledTail(name: string): Promise<Buffer> {
    const { bucket, client } = this.#s3;
    const get = () => unlessMissing(client.getObject({ Bucket: bucket, Key: tailKey(name) }));
    const bytes = await storeOutcome('read', async () => (await get())?.Body?.transformToByteArray());
    return bytes === undefined ? Buffer.alloc(0) : Buffer.from(bytes);
  }

  /** Makes the store complete the upload: it does so when it has as many bytes as its declared length. */
  override async seal(name: string, size: number): Promise<void> {
    const held = await this.held(name);
    if (held?.isSealed) return;
    if (held?.length !== size) await this.declareLength(name, size);
    await this.write(name, size, Readable.from([], { objectMode: false }));
    if (!(await this.held(name))?.isSealed) throw new StoreFault('The store did not complete an upload.');
  }

  override async *range(name: string, start: number, end: number): AsyncIterable<Buffer> {
    const { bucket, client } = this.#s3;
    if (start >= end) return;
    const Range = `bytes=${start}-${end - 1}`;
    const { Body } = await storeOutcome('read', () => client.getObject({ Bucket: bucket, Key: name, Range }));
    for await (const chunk of Body as Readable) yield chunk as Buffer;
  }

  /** The store's own `remove` leaves a completed object, and the objects beside the parts. */
  override async remove(name: string): Promise<void> {
    const { bucket, client } = this.#s3;
    await storeOutcome('remove', async () => {
      // Also aborts multipart uploads whose ids the store did not record. One page is enough for one key.
      const { Uploads = [] } = (await unlessMissing(client.listMultipartUploads({ Bucket: bucket, Prefix: name }))) ?? {};
      for (const { Key, UploadId } of Uploads) {
        if (Key === name) await unlessMissing(client.abortMultipartUpload({ Bucket: bucket, Key, UploadId }));
      }
      for (const Key of [name, tailKey(name), infoKey(name)]) await unlessMissing(client.deleteObject({ Bucket: bucket, Key }));
      await this.#s3.clearCache(name);
    });
  }

  override async locate(name: string, size: number): Promise<StagedFile> {
    const { bucket, client } = this.#s3;
    const { ETag: etag = '' } = await storeOutcome('tell what it holds', () => client.headObject({ Bucket: bucket, Key: name }));
    return { object: { bucket, key: name, size, etag } };
  }

  /** Resolves to undefined when the upload was never created. */
  async #parts(name: string): Promise<Parts | undefined> {
    const { bucket, client } = this.#s3;
    const info = await this.#info(name);
    if (info === undefined) return undefined;
    const { uploadId: UploadId, length } = info;
    let size = 0;
    let last = 0;
    for (let PartNumberMarker: string | undefined; ; ) {
      const marker = PartNumberMarker === undefined ? {} : { PartNumberMarker };
      const list = () => unlessMissing(client.listParts({ Bucket: bucket, Key: name, UploadId, ...marker }));
      const page = await storeOutcome('tell what it holds', list);
      if (page === undefined) return { length, isCompleted: true, size, hasGap: false };
      for (const { PartNumber, Size = 0 } of page.Parts ?? []) {
        if (PartNumber !== last + 1) return { length, isCompleted: false, size, hasGap: true };
        last = PartNumber;
        size += Size;
      }
      if (!page.IsTruncated || page.NextPartNumberMarker === undefined) return { length, isCompleted: false, size, hasGap: false };
      PartNumberMarker = page.NextPartNumberMarker;
    }
  }

  async #info(name: string): Promise<{ uploadId: string; length: number | null } | undefined> {
    const { bucket, client } = this.#s3;
    return storeOutcome('tell what it holds', async () => {
      const info = await unlessMissing(client.getObject({ Bucket: bucket, Key: infoKey(name) }));
      const uploadId = info?.Metadata?.['upload-id'];
      if (info?.Body === undefined || uploadId === undefined) return undefined;
      const { size } = JSON.parse(await info.Body.transformToString()) as { size?: unknown };
      return { uploadId, length: typeof size === 'number' ? size : null };
    });
  }

  async #sizeOf(key: string): Promise<number | undefined> {
    const { bucket, client } = this.#s3;
    const head = await storeOutcome('tell what it holds', () => unlessMissing(client.headObject({ Bucket: bucket, Key: key })));
    return head && (head.ContentLength ?? 0);
  }
}

function infoKey(name: string): string {
  return `${name}.info`;
}

function tailKey(name: string): string {
  return `${name}.part`;
}
