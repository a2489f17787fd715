/**
 * Waits.
 *
 * @param until receives a function that ends the wait early, and returns a function that unsubscribes
 * @throws the reason of the signal
 */
export function pause(ms: number, signal: AbortSignal, until?: (wake: () => void) => () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      unsubscribe?.();
      settle();
    };
    const abort = () => end(() => reject(signal.reason));
    const timer = setTimeout(() => end(resolve), ms);
    signal.addEventListener('abort', abort, { once: true });
    const unsubscribe = until?.(() => end(resolve));
  });
}
