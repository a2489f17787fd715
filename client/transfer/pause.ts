/** Why a pause ended. */
export type PauseEnd = 'over' | 'woken';

/**
 * Waits.
 *
 * @param until ends the wait early: gets the function that does, returns how to take it back
 * @throws the reason of the signal
 */
export function pause(ms: number, signal: AbortSignal, until?: (wake: () => void) => () => void): Promise<PauseEnd> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason);
    const end = (settle: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      forget?.();
      settle();
    };
    const abort = () => end(() => reject(signal.reason));
    const timer = setTimeout(() => end(() => resolve('over')), ms);
    signal.addEventListener('abort', abort, { once: true });
    const forget = until?.(() => end(() => resolve('woken')));
  });
}
