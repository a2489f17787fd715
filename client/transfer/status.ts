// The server's own record of an upload.
import { isErrorCode, UploadError } from '../../shared/errors.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import { areCounts, areTexts, fieldsOf, parseJson } from '../json.ts';
import type { GuardedHttp } from './guarded-http.ts';

/**
 * Requests the record. Resolves to undefined when the response is no record, as from another tus server.
 *
 * @param waitSeconds how long the server may hold the response while it inspects the file
 * @throws Failure, or the reason of the signal
 */
export async function askStatus(
  http: GuardedHttp,
  url: string,
  waitSeconds: number,
  signal: AbortSignal,
): Promise<UploadRecord | undefined> {
  const address = new URL(url);
  address.pathname += '/status';
  if (waitSeconds > 0) address.searchParams.set('wait', String(waitSeconds));
  const response = await http.send({
    method: 'GET',
    url: address.href,
    headers: { Accept: 'application/json' },
    signal,
    longPollMs: waitSeconds * 1000,
  });
  const body = parseJson(response.text);
  return isRecord(body) ? body : undefined;
}

/** The error of a rejected upload. */
export function rejectionOf({ error, result }: UploadRecord): UploadError {
  const code = isErrorCode(error?.code) ? error.code : 'ERR_CHECK_REFUSED';
  return new UploadError(code, {
    ...(error?.detail === undefined ? {} : { detail: error.detail }),
    ...(result === undefined ? {} : { result }),
  });
}

/** Checks only the fields that the client reads; a newer server may send more. */
function isRecord(value: unknown): value is UploadRecord {
  const { id, state, url, name, length, type, checksum, error } = fieldsOf(value);
  return (
    areTexts(id, state, url ?? '') &&
    areTexts(name ?? '', type ?? '', checksum ?? '') &&
    areCounts(length ?? 0) &&
    (error === undefined || areTexts(fieldsOf(error).code, fieldsOf(error).detail ?? ''))
  );
}
