import type { DataStore } from '@tus/utils';
import { AzureStoreAccess, GcsStoreAccess, isAzureStore, isGcsStore } from './cloud-store-access.ts';
import { FileStoreAccess, isFileStore } from './file-store-access.ts';
import { isS3Store, S3StoreAccess } from './s3-store-access.ts';
import { StoreAccess } from './store-access.ts';

/** @param maxUploadBytes the largest upload, for which an upload of unknown length is prepared */
export function accessTo(store: DataStore, maxUploadBytes: number): StoreAccess {
  if (isFileStore(store)) return new FileStoreAccess(store);
  if (isS3Store(store)) return new S3StoreAccess(store, maxUploadBytes);
  if (isAzureStore(store)) return new AzureStoreAccess(store);
  if (isGcsStore(store)) return new GcsStoreAccess(store);
  return new StoreAccess(store);
}
