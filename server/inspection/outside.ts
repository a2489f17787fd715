// Checks that wait for another program. That it is silent is not the file's doing: without a limit of its own, it would be a strike
// against the file, and after five of them a verdict.
import type { Turns } from '../runtime/turns.ts';
import type { Inspectable } from './check.ts';

/** What the work is told, and tells. */
export interface Outside {
  /** Aborted when the other program was silent for too long, or the inspection is over. */
  readonly signal: AbortSignal;
  /** To be called whenever the other program got on. */
  moved(): void;
}

export interface OutsideOptions {
  /** So long the other program may be silent. */
  limitMs: number;
  /** How many may be asked at once; whoever waits for a turn is not silent. */
  turns?: Turns;
  /** What is thrown when it was silent for longer. */
  silent(): Error;
}

/**
 * Keeps an inspection from being taken for silent while the work goes on, which has a limit of its own.
 * @param limitMs as the inspection's own
 */
export async function keepAlive<T>(upload: Pick<Inspectable, 'progress'>, limitMs: number, work: () => Promise<T>): Promise<T> {
  const alive = setInterval(() => upload.progress(), limitMs / 4).unref();
  return work().finally(() => clearInterval(alive));
}

/** @throws what `silent` makes, the reason of the signal, or what the work throws */
export function askOutside<T>(
  ended: AbortSignal,
  { limitMs, turns, silent }: OutsideOptions,
  work: (outside: Outside) => Promise<T>,
): Promise<T> {
  const ask = async () => {
    ended.throwIfAborted();
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(silent()), limitMs);
    const signal = AbortSignal.any([silence.signal, ended]);
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    // Refreshed after its end, the timer would run again.
    const moved = () => void (signal.aborted || timer.refresh());
    try {
      return await Promise.race([work({ signal, moved }), aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    }
  };
  return turns ? turns.with(ask) : ask();
}
