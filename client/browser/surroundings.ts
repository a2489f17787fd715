import type { Surroundings } from '../ports.ts';
import { requestScreenLock } from './optional-apis.ts';

/** `navigator.connection`, where there is one. */
interface WithConnection {
  connection?: EventTarget;
}

/** The network came back, or is another one. */
function onAnotherNetwork(listener: () => void): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  globalThis.addEventListener?.('online', listener, { signal });
  (globalThis.navigator as WithConnection | undefined)?.connection?.addEventListener('change', listener, { signal });
  return () => controller.abort();
}

export const browserSurroundings: Surroundings = {
  isOnline: () => typeof navigator === 'undefined' || navigator.onLine !== false,

  onNetwork(listener: () => void): () => void {
    const forget = onAnotherNetwork(listener);
    globalThis.addEventListener?.('offline', listener);
    return () => {
      forget();
      globalThis.removeEventListener?.('offline', listener);
    };
  },

  onWake(listener: () => void): () => void {
    const controller = new AbortController();
    const { signal } = controller;
    const forget = onAnotherNetwork(listener);
    // In a worker there is no page to show.
    globalThis.addEventListener?.('pageshow', listener, { signal });
    if (typeof document !== 'undefined') {
      const visible = () => {
        if (document.visibilityState === 'visible') listener();
      };
      document.addEventListener('visibilitychange', visible, { signal });
    }
    return () => {
      forget();
      controller.abort();
    };
  },

  hold({ keepAwake, confirmLeaving }): () => void {
    const letGo = [keepAwake ? awake.take() : nothing, confirmLeaving ? guard.take() : nothing];
    return () => {
      for (const release of letGo) release();
    };
  },
};

const nothing = () => {};

/** Begins with the first who takes it and ends when the last lets go. */
class Shared {
  #takers = 0;
  readonly #begin: () => () => void;
  #end: () => void = nothing;

  constructor(begin: () => () => void) {
    this.#begin = begin;
  }

  take(): () => void {
    if (this.#takers++ === 0) this.#end = this.#begin();
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      if (--this.#takers === 0) this.#end();
    };
  }
}

const guard = new Shared(() => {
  if (typeof window === 'undefined') return nothing;
  const ask = (event: BeforeUnloadEvent) => event.preventDefault();
  window.addEventListener('beforeunload', ask);
  return () => window.removeEventListener('beforeunload', ask);
});

const awake = new Shared(() => {
  if (typeof document === 'undefined') return nothing;
  let isOver = false;
  let lock: WakeLockSentinel | undefined;
  const request = async () => {
    if (isOver || document.visibilityState !== 'visible') return;
    lock = await requestScreenLock();
    if (isOver) lock?.release().catch(nothing);
  };
  // The browser lets go of it whenever the page is hidden.
  document.addEventListener('visibilitychange', request);
  void request();
  return () => {
    isOver = true;
    document.removeEventListener('visibilitychange', request);
    lock?.release().catch(nothing);
  };
});
