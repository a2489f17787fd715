// Access to @tus/azure-store and @tus/gcs-store. Neither can remove an upload or read a range, so this uses the cloud clients in them.
import type { Readable } from 'node:stream';
import type { DataStore } from '@tus/utils';
import { type HeldBytes, StoreAccess } from './store-access.ts';
import { storeOutcome, unlessMissing } from './store-fault.ts';

const MIB = 1024 * 1024;

/** The part of @azure/storage-blob that is used here. */
interface AppendBlob {
  url: string;
  getProperties(): Promise<{ contentLength?: number }>;
  download(offset: number, count: number): Promise<{ readableStreamBody?: unknown }>;
  deleteIfExists(): Promise<unknown>;
}

interface AzureStoreLike {
  containerClient: { containerName: string; getAppendBlobClient(name: string): AppendBlob };
  cache: { delete(key: string): Promise<void> };
}

export function isAzureStore(store: unknown): store is DataStore & AzureStoreLike {
  return typeof (store as Partial<AzureStoreLike>).containerClient?.getAppendBlobClient === 'function';
}

export class AzureStoreAccess extends StoreAccess {
  readonly #azure: AzureStoreLike;

  constructor(store: DataStore & AzureStoreLike) {
    super(store);
    this.#azure = store;
  }

  /** A slice is one block; a blob has at most 50,000. */
  override sliceBytes(length: number | null): number {
    return Math.max(4 * MIB, Math.ceil((length ?? 0) / 40_000));
  }

  override async declareLength(): Promise<void> {}

  /** Reads the blob's own size. The store's record beside it may be older, because of a cache or a crash. */
  override async held(name: string): Promise<HeldBytes | undefined> {
    const blob = this.#blob(name);
    await this.#azure.cache.delete(blob.url);
    const properties = await storeOutcome('tell what it holds', () => unlessMissing(blob.getProperties()));
    return properties && { size: properties.contentLength ?? 0, isSealed: false, hasGap: false };
  }

  override async *range(name: string, start: number, end: number): AsyncIterable<Buffer> {
    if (start >= end) return;
    const { readableStreamBody } = await storeOutcome('read', () => this.#blob(name).download(start, end - start));
    for await (const chunk of readableStreamBody as Readable) yield chunk as Buffer;
  }

  override async remove(name: string): Promise<void> {
    const blob = this.#blob(name);
    await storeOutcome('remove', () => blob.deleteIfExists());
    await this.#azure.cache.delete(blob.url);
  }

  #blob(name: string): AppendBlob {
    return this.#azure.containerClient.getAppendBlobClient(name);
  }
}

/** The part of @google-cloud/storage that is used here. */
interface GcsFile {
  getMetadata(): Promise<[{ size?: number | string }, ...unknown[]]>;
  createReadStream(range: { start: number; end: number }): Readable;
  delete(options: { ignoreNotFound: boolean }): Promise<unknown>;
}

interface GcsStoreLike {
  bucket: { name: string; file(name: string): GcsFile };
}

export function isGcsStore(store: unknown): store is DataStore & GcsStoreLike {
  return typeof (store as Partial<GcsStoreLike>).bucket?.file === 'function';
}

export class GcsStoreAccess extends StoreAccess {
  readonly #bucket: GcsStoreLike['bucket'];

  constructor(store: DataStore & GcsStoreLike) {
    super(store);
    this.#bucket = store.bucket;
  }

  /** Each slice makes a new version of the object, which the server allows about once a second. */
  override sliceBytes(): number {
    return 16 * MIB;
  }

  override async declareLength(): Promise<void> {}

  override async held(name: string): Promise<HeldBytes | undefined> {
    const answer = await storeOutcome('tell what it holds', () => unlessMissing(this.#bucket.file(name).getMetadata()));
    return answer && { size: Number(answer[0].size ?? 0), isSealed: false, hasGap: false };
  }

  override async *range(name: string, start: number, end: number): AsyncIterable<Buffer> {
    if (start >= end) return;
    for await (const chunk of this.#bucket.file(name).createReadStream({ start, end: end - 1 })) yield chunk as Buffer;
  }

  override async remove(name: string): Promise<void> {
    await storeOutcome('remove', async () => {
      for (const each of [name, `${name}_patch`]) await this.#bucket.file(each).delete({ ignoreNotFound: true });
    });
  }
}
