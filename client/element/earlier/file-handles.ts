// Handles of dropped files, kept over a reload where the browser has them (File System Access): the upload then goes on
import type { ResumeRecord } from '../../resume/store.ts';
// without the file being dropped again. Everything here may fail; the way without it is always there.

export interface FileIdentity {
  endpoint: string;
  name: string;
  size: number;
  lastModified: number | null;
  relativePath?: string | undefined;
}

interface Permissions {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
}

const DATABASE = 'landfall';
const HANDLES = 'handles';

/** The same for the same file to the same place. */
export function identityKey({ endpoint, name, size, lastModified, relativePath = '' }: FileIdentity): string {
  return JSON.stringify([endpoint, name, size, lastModified, relativePath]);
}

/** By what can be told without reading it; the content is compared before anything is sent. */
export function isSameFile(record: ResumeRecord, file: File): boolean {
  const { name, size, lastModified } = record;
  return file.name === name && file.size === size && (lastModified === null || lastModified === file.lastModified);
}

export async function keepHandle(identity: FileIdentity, handle: FileSystemFileHandle): Promise<void> {
  await inStore('readwrite', (store) => store.put(handle, identityKey(identity)));
}

export async function dropHandle(identity: FileIdentity): Promise<void> {
  await inStore('readwrite', (store) => store.delete(identityKey(identity)));
}

export async function findHandle(identity: FileIdentity): Promise<FileSystemFileHandle | undefined> {
  const found = await inStore('readonly', (store) => store.get(identityKey(identity)));
  return found instanceof Object && 'getFile' in found ? (found as FileSystemFileHandle) : undefined;
}

/**
 * The file behind a handle. `ask` shows the browser's question and needs a click that is still fresh; without it only
 * what the browser already allows is opened.
 */
export async function openHandle(handle: FileSystemFileHandle, ask: boolean): Promise<File | undefined> {
  try {
    const permissions = handle as Permissions;
    let state = await permissions.queryPermission?.({ mode: 'read' });
    if (state !== 'granted' && ask) state = await permissions.requestPermission?.({ mode: 'read' });
    return state === 'granted' ? await handle.getFile() : undefined;
  } catch {
    return undefined;
  }
}

let opened: Promise<IDBDatabase | undefined> | undefined;

function open(): Promise<IDBDatabase | undefined> {
  opened ??= new Promise((resolve) => {
    try {
      const request = indexedDB.open(DATABASE, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(HANDLES);
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(undefined);
      request.onblocked = () => resolve(undefined);
    } catch {
      resolve(undefined);
    }
  });
  return opened;
}

async function inStore<T>(mode: IDBTransactionMode, act: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | undefined> {
  const database = await open();
  if (database === undefined) return undefined;
  return new Promise((resolve) => {
    try {
      const request = act(database.transaction(HANDLES, mode).objectStore(HANDLES));
      request.onsuccess = () => resolve(request.result);
      request.onerror = () => resolve(undefined);
    } catch {
      resolve(undefined);
    }
  });
}
