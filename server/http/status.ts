import type { IncomingMessage, ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { toRecord } from '../finish/record.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { onAbort } from '../runtime/on-abort.ts';
import type { Receiver } from '../staging/receiver.ts';

/** Longest time that a status request is held; proxies commonly give up after 60 s. */
const MAX_WAIT_SECONDS = 55;

/** Answers with the record as JSON; with `wait=SECONDS`, once the state has changed or the time is over. @throws UploadError */
export async function answerStatus(
  { ledger, receiver, draining }: { ledger: Ledger; receiver: Receiver; draining: AbortSignal },
  request: IncomingMessage,
  response: ServerResponse,
  upload: Upload,
  urlOf: (upload: Upload) => string | null,
  query: URLSearchParams,
): Promise<void> {
  const wait = query.get('wait') ?? '0';
  if (!/^\d{1,6}$/.test(wait)) throw new UploadError('ERR_BAD_REQUEST', { detail: '`wait` is not a number of seconds.' });
  const seconds = Math.min(Number(wait), MAX_WAIT_SECONDS);
  let current = upload;
  if (seconds > 0 && (upload.state === 'receiving' || upload.state === 'inspecting')) {
    await waitForChange(ledger, upload, seconds * 1000, response, draining);
    current = (await ledger.get(upload.id)) ?? upload;
  }
  const stored = current.state === 'receiving' ? await receiver.confirmed(current) : 0;
  const body = Buffer.from(JSON.stringify(toRecord(ledger, current, stored, urlOf(current))));
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': body.byteLength, 'Cache-Control': 'no-store' });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function waitForChange(ledger: Ledger, upload: Upload, timeoutMs: number, response: ServerResponse, draining: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      stop();
      response.off('close', done);
      forget();
      resolve();
    };
    const timer = setTimeout(done, timeoutMs);
    // A late notice may report the state that is already known.
    const stop = ledger.onChange(upload.id, (now) => {
      if (now.state !== upload.state) done();
    });
    response.once('close', done);
    const forget = onAbort(draining, done);
    if (draining.aborted) done();
    // The state may have changed before the listener was added.
    ledger.get(upload.id).then((now) => {
      if (now?.state !== upload.state) done();
    }, done);
  });
}
