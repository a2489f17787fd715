// The server's own record of an upload.
import { isErrorCode, UploadError } from '../../shared/errors.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import { areCounts, areTexts, fieldsOf, parseJson } from '../json.ts';
import type { GuardedHttp } from './guarded-http.ts';

/**
 * Undefined where the server has no such thing (another tus server).
 *
 * @param waitSeconds how long the server may hold the answer while the verdict is out
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
    heldMs: waitSeconds * 1000,
  });
  const body = parseJson(response.text);
  return isRecord(body) ? body : undefined;
}

/** The refusal a record tells of. */
export function rejectionOf({ error, result }: UploadRecord): UploadError {
  const code = isErrorCode(error?.code) ? error.code : 'ERR_CHECK_REFUSED';
  return new UploadError(code, {
    ...(error?.detail === undefined ? {} : { detail: error.detail }),
    ...(result === undefined ? {} : { result }),
  });
}

/** As far as the client reads it; a server that is newer may say more. */
function isRecord(value: unknown): value is UploadRecord {
  const { id, state, url, name, length, type, checksum, error } = fieldsOf(value);
  return (
    areTexts(id, state, url ?? '') &&
    areTexts(name ?? '', type ?? '', checksum ?? '') &&
    areCounts(length ?? 0) &&
    (error === undefined || areTexts(fieldsOf(error).code, fieldsOf(error).detail ?? ''))
  );
}
