// Bytes that left this device may take seconds or minutes to reach the server, because system and proxy buffers hold them. After the
// last byte has left, the client polls the server's record, in parallel to the request that carries the body.
import { Failure } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';
import { pause } from './pause.ts';
import { askStatus } from './status.ts';

/** The response to the upload request nearly always comes sooner and makes polling unnecessary. */
const FIRST_AFTER_MS = 1000;
const LONGEST_BETWEEN_MS = 5000;

/** Calls `onInspecting` once the server has every byte. Never calls it when the server keeps no records. */
export async function watchForInspection(http: GuardedHttp, url: string, signal: AbortSignal, onInspecting: () => void): Promise<void> {
  for (let ms = FIRST_AFTER_MS; !signal.aborted; ms = Math.min(ms * 2, LONGEST_BETWEEN_MS)) {
    try {
      await pause(ms, signal);
      const record = await askStatus(http, url, 0, signal);
      if (record === undefined) return;
      if (record.state !== 'receiving') return signal.aborted ? undefined : onInspecting();
    } catch (error) {
      // The upload request itself deals with network failures.
      if (!(error instanceof Failure) || (error.reason === 'refused' && error.status < 500)) return;
    }
  }
}
