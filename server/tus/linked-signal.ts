/** Without a reason, an abort makes an error with a stack each time. */
export const GONE = 'nobody waits any more';

/** One signal for several, that leaves nothing behind on those that live longer. */
export function linked(signals: readonly AbortSignal[]): { signal: AbortSignal; unlink(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort(signals.find((signal) => signal.aborted)?.reason);
  for (const signal of signals) signal.addEventListener('abort', abort);
  if (signals.some((signal) => signal.aborted)) abort();
  return {
    signal: controller.signal,
    unlink() {
      for (const signal of signals) signal.removeEventListener('abort', abort);
    },
  };
}
