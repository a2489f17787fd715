// Keeps handles of dropped files over a reload, in browsers with the File System Access API, so that an upload resumes without the
// user dropping the file again. Everything here may fail; the user can then choose the file.
import { openDatabase } from '../../browser/optional-apis.ts';
import type { ResumeRecord } from '../../resume/store.ts';

export interface FileIdentity {
  endpoint: string;
  name: string;
  size: number;
  lastModified: number | null;
  relativePath?: string | undefined;
}

const DATABASE = 'landfall';
const HANDLES = 'handles';

/** Identifies the same file sent to the same endpoint. */
export function identityKey({ endpoint, name, size, lastModified, relativePath = '' }: FileIdentity): string {
  return JSON.stringify([endpoint, name, size, lastModified, relativePath]);
}

/** Compares only what is known without reading the file. The content is compared before anything is sent. */
export function isSameFile(record: ResumeRecord, file: File): boolean {
  const { name, size, lastModified } = record;
  return file.name === name && file.size === size && (lastModified === null || lastModified === file.lastModified);
}

export async function saveHandle(identity: FileIdentity, handle: FileSystemFileHandle): Promise<void> {
  await inStore('readwrite', (store) => store.put(handle, identityKey(identity)));
}

export async function removeHandle(identity: FileIdentity): Promise<void> {
  await inStore('readwrite', (store) => store.delete(identityKey(identity)));
}

export async function findHandle(identity: FileIdentity): Promise<FileSystemFileHandle | undefined> {
  const found = await inStore('readonly', (store) => store.get(identityKey(identity)));
  return found instanceof Object && 'getFile' in found ? (found as FileSystemFileHandle) : undefined;
}

let opened: Promise<IDBDatabase | undefined> | undefined;

async function inStore<T>(mode: IDBTransactionMode, makeRequest: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  opened ??= openDatabase(DATABASE, HANDLES);
  const database = await opened;
  if (database === undefined) return undefined;
  return new Promise((resolve) => {
    try {
      const request = makeRequest(database.transaction(HANDLES, mode).objectStore(HANDLES));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(undefined);
    } catch {
      resolve(undefined);
    }
  });
}
