// What a browser may deny a page: where cookies are blocked, in the frame of a third party or a sandboxed one, on plain http, in
// a worker. It is missing then, or its use throws, or rejects. Each such thing is asked for here and nowhere else; a page that
// is denied one does without that one, and its uploads go on.

/** Reading the property throws where cookies are blocked; a worker has none. */
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

/** Undefined also where an older page of the same site keeps the database from being made. */
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
 * Resolves with how to release the lock; with `taken` where `ifAvailable` was asked and another page has it; with `denied`
 * where this page may have none.
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
          // Held as long as the promise of its callback is open.
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

/** Names of the locks that pages of this site hold now. */
export async function heldLocks(): Promise<string[]> {
  try {
    const { held = [] } = await navigator.locks.query();
    return held.map(({ name }) => name ?? '');
  } catch {
    return [];
  }
}

/** Keeps the screen on. Refused on battery saving, too: then it sleeps, and uploads go on when it wakes. */
export async function requestScreenLock(): Promise<WakeLockSentinel | undefined> {
  try {
    return await navigator.wakeLock.request('screen');
  } catch {
    return undefined;
  }
}

/** What older browsers and other makers' lack, and TypeScript's library with them. */
interface HandleItem {
  getAsFileSystemHandle?(): Promise<FileSystemHandle | null>;
}

interface Permissions {
  queryPermission?(options: { mode: 'read' }): Promise<PermissionState>;
  requestPermission?(options: { mode: 'read' }): Promise<PermissionState>;
}

/** Of a dropped file. Asks before it first waits: the items of a drop are empty afterwards. */
export async function fileHandleOf(item: DataTransferItem): Promise<FileSystemFileHandle | undefined> {
  try {
    const handle = await (item as HandleItem).getAsFileSystemHandle?.();
    return handle?.kind === 'file' ? (handle as FileSystemFileHandle) : undefined;
  } catch {
    return undefined;
  }
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

/**
 * While a click is handled. Pages on plain http have no clipboard of their own; there the browser copies what is selected.
 * False where it does not let the page.
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
  // In sight of the browser, which copies nothing hidden, and not of the person; fixed, so that nothing scrolls there.
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
