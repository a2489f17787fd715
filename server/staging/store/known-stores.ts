// The stores that settings can name. They are optional peer dependencies, loaded when they are named.
import type { DataStore } from '@tus/utils';
import { makeDurableDirectory } from '../../disk/durable-directory.ts';
import { loadWith } from '../../runtime/optional-packages.ts';
import type { ClientOptions } from '../../s3/client.ts';

export interface OpenedStore {
  store: DataStore;
  close(): void;
}

/** @throws PackageMissing, or the system's error for the directory */
export async function openFileStore(directory: string): Promise<OpenedStore> {
  const { FileStore } = await loadWith(['@tus/file-store'], 'LANDFALL_STAGING=file-store', () => import('@tus/file-store'));
  // Made here, because the store ends the process when it cannot make the directory.
  await makeDurableDirectory(directory);
  return { store: new FileStore({ directory }), close() {} };
}

/** @throws PackageMissing */
export async function openS3Store(bucket: string, partSize: number, options: ClientOptions, connections: number): Promise<OpenedStore> {
  const packages = ['@tus/s3-store', '@aws-sdk/client-s3'];
  const [{ S3Store }, { clientConfig }] = await loadWith(packages, 'LANDFALL_STAGING=s3-store', () =>
    Promise.all([import('@tus/s3-store'), import('../../s3/client.ts')]),
  );
  const store = new S3Store({ partSize, s3ClientConfig: { bucket, ...clientConfig(options, connections) } });
  return { store, close: () => (store as unknown as { client: { destroy(): void } }).client.destroy() };
}
