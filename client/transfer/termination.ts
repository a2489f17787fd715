import { UploadError } from '../../shared/errors.ts';
import { TUS_VERSION } from '../../shared/protocol.ts';
import type { ResumeRecord } from '../resume/store.ts';
import { Failure, isGone } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';
import { pause } from './pause.ts';
import { decide } from './retry.ts';

const TRIES = 5;
const LIMIT_MS = 60_000;
const LONGEST_PAUSE_MS = 10_000;

export interface TerminationTarget extends Pick<ResumeRecord, 'endpoint' | 'url' | 'idempotencyKey' | 'metadata'> {
  /** Null for a stream of unknown length. */
  readonly size: number | null;
}

/**
 * Deletes an upload on the server (tus 1.0.0, Termination). Counts as done when the upload no longer exists. Retries a few times: a
 * server that inspects the upload refuses the request until it has a verdict, and an unreachable server may come back.
 *
 * @throws UploadError the last refusal; ERR_UPLOAD_FINISHED when the verdict came first
 */
export async function terminate(http: GuardedHttp, upload: TerminationTarget): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  for (let tries = 1; ; tries++) {
    try {
      const url = upload.url ?? (await repeatCreation(http, upload, signal));
      const response = await http.send({ method: 'DELETE', url, headers: { 'Tus-Resumable': TUS_VERSION }, signal });
      // A captive portal answers 200 with its own page.
      if (response.status === 204 || response.header('Tus-Resumable') !== null) return;
      throw unexpectedAnswer('DELETE');
    } catch (error) {
      if (!(error instanceof Failure)) throw new UploadError('ERR_NETWORK', { cause: error });
      if (isGone(error)) return;
      const { kind } = decide(error, { isOnline: true, canReauthorize: http.canReauthorize, canRestart: false });
      if (kind !== 'retry' && kind !== 'await-verdict' && kind !== 'reauthorize') throw error.error;
      if (tries === TRIES) throw error.error;
      if (kind === 'reauthorize') http.reauthorize();
      else await pause(Math.min((error.error.retryAfterSeconds ?? tries) * 1000, LONGEST_PAUSE_MS), signal).catch(() => {});
    }
  }
}

/** The response to the creation was lost. The same request with the same `Idempotency-Key` returns the address of the same upload. */
async function repeatCreation(http: GuardedHttp, upload: TerminationTarget, signal: AbortSignal): Promise<string> {
  const { endpoint, idempotencyKey, size, metadata = {} } = upload;
  const encoded = encodeMetadata(metadata);
  const headers = {
    'Tus-Resumable': TUS_VERSION,
    'Idempotency-Key': idempotencyKey,
    ...(size === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(size) }),
    ...(encoded === '' ? {} : { 'Upload-Metadata': encoded }),
  };
  const response = await http.send({ method: 'POST', url: endpoint, headers, signal });
  const location = response.header('Location');
  if (location === null) throw unexpectedAnswer('POST');
  return new URL(location, endpoint).href;
}

function unexpectedAnswer(method: string): Failure {
  return new Failure(new UploadError('ERR_UNEXPECTED_RESPONSE'), { cause: 'unexpected', method });
}

/** tus 1.0.0, Creation: keys, with values in base64 of their UTF-8. */
function encodeMetadata(metadata: Readonly<Record<string, string>>): string {
  const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(metadata)
    .map(([key, value]) => `${key} ${base64(String(value))}`)
    .join(',');
}
