const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls back once when a signal aborts that many requests share. An `AbortSignal` searches all its listeners for each one that is added
 * or removed: ten thousand uploads that come or leave together would take seconds. A signal that has aborted before never calls back.
 * @returns removes the callback
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const all = callbacks.get(signal) ?? listenTo(signal);
  all.add(callback);
  return () => all.delete(callback);
}

function listenTo(signal: AbortSignal): Set<() => void> {
  const all = new Set<() => void>();
  callbacks.set(signal, all);
  const callAll = () => {
    for (const callback of all) callback();
  };
  signal.addEventListener('abort', callAll, { once: true });
  return all;
}
