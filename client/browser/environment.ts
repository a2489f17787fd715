import type { PlatformEnvironment } from '../ports.ts';
import { requestScreenLock } from './optional-apis.ts';

/** `navigator.connection`, which only some browsers have. */
interface WithConnection {
  connection?: EventTarget;
}

/** Calls the listener when the network came back or changed. */
function onOtherNetwork(listener: () => void): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  globalThis.addEventListener?.('online', listener, { signal });
  (globalThis.navigator as WithConnection | undefined)?.connection?.addEventListener('change', listener, { signal });
  return () => controller.abort();
}

export const browserEnvironment: PlatformEnvironment = {
  isOnline: () => typeof navigator === 'undefined' || navigator.onLine !== false,

  onNetworkChange(listener: () => void): () => void {
    const unsubscribe = onOtherNetwork(listener);
    globalThis.addEventListener?.('offline', listener);
    return () => {
      unsubscribe();
      globalThis.removeEventListener?.('offline', listener);
    };
  },

  onWake(listener: () => void): () => void {
    const controller = new AbortController();
    const { signal } = controller;
    const unsubscribe = onOtherNetwork(listener);
    // A worker has no document.
    globalThis.addEventListener?.('pageshow', listener, { signal });
    if (typeof document !== 'undefined') {
      const visible = () => {
        if (document.visibilityState === 'visible') listener();
      };
      document.addEventListener('visibilitychange', visible, { signal });
    }
    return () => {
      unsubscribe();
      controller.abort();
    };
  },

  guardPage({ keepAwake, confirmLeaving }): () => void {
    const guards = [keepAwake ? screenLock.acquire() : doNothing, confirmLeaving ? leaveQuestion.acquire() : doNothing];
    return () => {
      for (const release of guards) release();
    };
  },
};

const doNothing = () => {};

/** A guard shared by several uploads: begins with the first and ends with the last. */
class SharedGuard {
  #holders = 0;
  readonly #start: () => () => void;
  #stop: () => void = doNothing;

  constructor(start: () => () => void) {
    this.#start = start;
  }

  acquire(): () => void {
    if (this.#holders++ === 0) this.#stop = this.#start();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#holders === 0) this.#stop();
    };
  }
}

const leaveQuestion = new SharedGuard(() => {
  if (typeof window === 'undefined') return doNothing;
  const ask = (event: BeforeUnloadEvent) => event.preventDefault();
  window.addEventListener('beforeunload', ask);
  return () => window.removeEventListener('beforeunload', ask);
});

const screenLock = new SharedGuard(() => {
  if (typeof document === 'undefined') return doNothing;
  let isOver = false;
  let lock: WakeLockSentinel | undefined;
  const request = async () => {
    if (isOver || document.visibilityState !== 'visible') return;
    lock = await requestScreenLock();
    if (isOver) lock?.release().catch(doNothing);
  };
  // The browser releases the lock when the page is hidden.
  document.addEventListener('visibilitychange', request);
  void request();
  return () => {
    isOver = true;
    document.removeEventListener('visibilitychange', request);
    lock?.release().catch(doNothing);
  };
});
