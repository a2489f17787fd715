// Bytes that left this device are not yet with the server: buffers of the system, and of proxies, hold seconds or minutes of
// them. Once the last are out, the server itself is asked whether it has them all, beside the request that carries them.
import { Failure } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';
import { pause } from './pause.ts';
import { askStatus } from './status.ts';

/** Nearly always the answer to the request comes sooner, and says it. */
const FIRST_AFTER_MS = 1000;
const LONGEST_BETWEEN_MS = 5000;

/** Calls once the server has every byte and is looking at them. Never, where the server has no record to tell it by. */
export async function watchArrival(http: GuardedHttp, url: string, signal: AbortSignal, onArrived: () => void): Promise<void> {
  for (let ms = FIRST_AFTER_MS; !signal.aborted; ms = Math.min(ms * 2, LONGEST_BETWEEN_MS)) {
    try {
      await pause(ms, signal);
      const record = await askStatus(http, url, 0, signal);
      if (record === undefined) return;
      if (record.state !== 'receiving') return signal.aborted ? undefined : onArrived();
    } catch (error) {
      // The network is the affair of the request itself.
      if (!(error instanceof Failure) || (error.reason === 'refused' && error.status < 500)) return;
    }
  }
}
