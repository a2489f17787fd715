// What became of an upload that this page no longer sends, from the server's own record.
import type { UploadRecord } from '../../shared/upload.ts';
import { browserPlatform } from '../browser/platform.ts';
import type { UploadOptions } from '../options.ts';
import { Failure } from '../transfer/failure.ts';
import { GuardedHttp } from '../transfer/guarded-http.ts';
import { pause } from '../transfer/pause.ts';
import { decide } from '../transfer/retry.ts';
import { askStatus } from '../transfer/status.ts';

/** Half of the 60 s after which proxies commonly time out. */
const WAIT_SECONDS = 30;
const LONGEST_PAUSE_MS = 30_000;

/**
 * Yields the record now, and again after each change until there is a verdict. While the server cannot be reached, asks again at growing
 * intervals of at most 30 s. Ends without a record when the server refuses to show one.
 *
 * @param signal ends the requests. @default none
 * @throws the reason of the signal
 */
export async function* recordsOf(
  url: string,
  options: Pick<UploadOptions, 'headers' | 'timeouts' | 'withCredentials'>,
  signal: AbortSignal = new AbortController().signal,
): AsyncGenerator<UploadRecord, void, void> {
  const http = new GuardedHttp(browserPlatform, options);
  let waitSeconds = 0;
  for (let failures = 0; ; ) {
    try {
      const record = await askStatus(http, url, waitSeconds, signal);
      if (record === undefined) return;
      yield record;
      if (record.state !== 'inspecting') return;
      waitSeconds = WAIT_SECONDS;
      failures = 0;
      // The pause is for a server that answers at once although it was asked to wait.
      await pause(1000, signal);
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof Failure)) throw error;
      const { kind } = decide(error, { isOnline: true, canReauthorize: http.canReauthorize, canRestart: false });
      if (kind === 'reauthorize') http.reauthorize();
      else if (kind === 'retry') await pause(Math.min(1000 * 2 ** failures++, LONGEST_PAUSE_MS), signal);
      else return;
    }
  }
}
