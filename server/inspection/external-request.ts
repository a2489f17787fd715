// Checks that wait for another program. Its silence is not the file's fault: without a limit of its own, the wait would count as a crash
// of the check, and after five crashes the file would be refused.
import type { Semaphore } from '../runtime/semaphore.ts';
import type { Inspectable } from './check.ts';

/** The connection between the work and its time limit. */
export interface ExternalRequest {
  /** Aborted when the other program was silent for too long, or the inspection is over. */
  readonly signal: AbortSignal;
  /** Call at each sign of life of the other program. */
  progress(): void;
}

export interface ExternalRequestOptions {
  /** For this long the other program may be silent. */
  limitMs: number;
  /** Limits how many requests run at once; waiting for a turn is not silence. */
  semaphore?: Semaphore;
  /** The error that is thrown after too long a silence. */
  silenceError(): Error;
}

/**
 * Reports progress to the inspection while `work` runs. The work has a time limit of its own.
 * @param limitMs the inspection's limit for a step without progress
 */
export async function keepAlive<T>(upload: Pick<Inspectable, 'progress'>, limitMs: number, work: () => Promise<T>): Promise<T> {
  const alive = setInterval(() => upload.progress(), limitMs / 4).unref();
  return work().finally(() => clearInterval(alive));
}

/** @throws the error of `silenceError`, the signal's reason, or the error of the work */
export function askExternal<T>(
  ended: AbortSignal,
  { limitMs, semaphore, silenceError }: ExternalRequestOptions,
  work: (request: ExternalRequest) => Promise<T>,
): Promise<T> {
  const ask = async () => {
    ended.throwIfAborted();
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(silenceError()), limitMs);
    const signal = AbortSignal.any([silence.signal, ended]);
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort);
    // After the end, `refresh` would start the timer again.
    const progress = () => void (signal.aborted || timer.refresh());
    try {
      return await Promise.race([work({ signal, progress }), aborted]);
    } finally {
      signal.removeEventListener('abort', onAbort);
      clearTimeout(timer);
    }
  };
  return semaphore ? semaphore.run(ask) : ask();
}
