// Browser APIs that may be unavailable: with blocked cookies, in a sandboxed or third-party frame, on plain http, or in a worker. Such
// an API is missing, throws, or rejects. Only this file uses these APIs, and uploads work without any of them.

/** Reading the property throws when cookies are blocked; a worker has none. */
export function localStorageOrNone(): Storage | undefined {
  try {
    return globalThis.localStorage ?? undefined;
  } catch {
    return undefined;
  }
}

/** Kept until the tab is closed. */
export function sessionStorageOrNone(): Storage | undefined {
  try {
    return globalThis.sessionStorage ?? undefined;
  } catch {
    return undefined;
  }
}

/** Undefined also when a page with an older version of the database blocks the upgrade. */
export function openDatabase(name: string, store: string): Promise<IDBDatabase | undefined> {
  return new Promise((resolve) => {
    const none = () => resolve(undefined);
    try {
      const request = indexedDB.open(name, 1);
      request.onupgradeneeded = () => request.result.createObjectStore(store);
      request.onsuccess = () => resolve(request.result);
      request.onerror = none;
      request.onblocked = none;
    } catch {
      none();
    }
  });
}

export function openChannel(name: string): BroadcastChannel | undefined {
  try {
    return new BroadcastChannel(name);
  } catch {
    return undefined;
  }
}

/**
 * Resolves to a release function; to `taken` when `ifAvailable` was set and another tab holds the lock; to `denied` when the browser
 * denies locks to this page.
 *
 * @throws the reason of the signal
 */
export function requestLock(name: string, options: LockOptions): Promise<(() => void) | 'taken' | 'denied'> {
  return new Promise((resolve, reject) => {
    const denied = () => (options.signal?.aborted ? reject(options.signal.reason) : resolve('denied'));
    try {
      navigator.locks
        .request(name, options, (lock) => {
          if (lock === null) return resolve('taken');
          // The browser holds the lock until this promise settles.
          const { promise, resolve: release } = Promise.withResolvers<void>();
          resolve(release);
          return promise;
        })
        .catch(denied);
    } catch {
      denied();
    }
  });
}

/** Names of the locks that pages of this origin hold now. */
export async function heldLocks(): Promise<string[]> {
  try {
    const { held = [] } = await navigator.locks.query();
    return held.map(({ name }) => name ?? '');
  } catch {
    return [];
  }
}

/** Keeps the screen on. Browsers also refuse this to save battery; the device then sleeps, and uploads resume when it wakes. */
export async function requestScreenLock(): Promise<WakeLockSentinel | undefined> {
  try {
    return await navigator.wakeLock.request('screen');
  } catch {
    return undefined;
  }
}

/** Methods that only some browsers have, and that TypeScript's library lacks. */
interface HandleItem {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

interface Permissions {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
}

/** The handle of a dropped file. Requests it before the first await, because the items of a drop are empty afterwards. */
export async function fileHandleOf(item: DataTransferItem): Promise<FileSystemFileHandle | undefined> {
  try {
    const handle = await (item as HandleItem).getAsFileSystemHandle?.();
    return handle?.kind === 'file' ? (handle as FileSystemFileHandle) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The file behind a handle; undefined without permission. `ask` shows the browser's permission prompt, which requires a recent click.
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

/**
 * Copies text to the clipboard. Call while a click is handled. On plain http, where pages have no Clipboard API, copies a selection.
 * Resolves to false when the browser refuses.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

function copySelected(text: string): boolean {
  const area = document.createElement('textarea');
  area.value = text;
  // Browsers copy no hidden text, so it is transparent instead. Its fixed position prevents scrolling.
  area.style.cssText = 'position: fixed; inset: 0 auto auto 0; width: 1px; height: 1px; opacity: 0';
  let focused = document.activeElement;
  while (focused?.shadowRoot?.activeElement) focused = focused.shadowRoot.activeElement;
  document.body.append(area);
  area.select();
  try {
    return document.execCommand('copy');
  } catch {
    return false;
  } finally {
    area.remove();
    if (focused instanceof HTMLElement) focused.focus();
  }
}
