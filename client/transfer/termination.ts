import { UploadError } from '../../shared/errors.ts';
import { TUS_VERSION } from '../../shared/protocol.ts';
import type { ResumeRecord } from '../resume/store.ts';
import { Failure } from './failure.ts';
import type { GuardedHttp } from './guarded-http.ts';
import { pause } from './pause.ts';
import { decide } from './retry.ts';

const TRIES = 5;
const LIMIT_MS = 60_000;
const LONGEST_PAUSE_MS = 10_000;

export interface Terminable extends Pick<ResumeRecord, 'endpoint' | 'url' | 'idempotencyKey' | 'metadata'> {
  /** Null for a stream of unknown length. */
  readonly size: number | null;
}

/**
 * tus 1.0.0, Termination. Gone is gone, whoever did it. A server that is inspecting refuses until it has a verdict, and
 * one that is away may come back, so it is asked a few times.
 *
 * @throws UploadError the last refusal; ERR_UPLOAD_FINISHED when the verdict came first
 */
export async function terminate(http: GuardedHttp, upload: Terminable): Promise<void> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  for (let tries = 1; ; tries++) {
    try {
      const url = upload.url ?? (await createdUrl(http, upload, signal));
      await http.send({ method: 'DELETE', url, headers: { 'Tus-Resumable': TUS_VERSION }, signal });
      return;
    } catch (error) {
      if (!(error instanceof Failure)) throw new UploadError('ERR_NETWORK', { cause: error });
      if (error.status === 404 || error.status === 410) return;
      const { kind } = decide(error, { isOnline: true, canReauthorize: http.canReauthorize, canRestart: false });
      if (kind !== 'retry' && kind !== 'ask-again' && kind !== 'reauthorize') throw error.error;
      if (tries === TRIES) throw error.error;
      if (kind === 'reauthorize') http.reauthorize();
      else await pause(Math.min((error.error.retryAfterSeconds ?? tries) * 1000, LONGEST_PAUSE_MS), signal).catch(() => {});
    }
  }
}

/** The creation was asked for and its answer never came: asked again as it was, with the same key, it is the same upload. */
async function createdUrl(http: GuardedHttp, upload: Terminable, signal: AbortSignal): Promise<string> {
  const { endpoint, idempotencyKey, size, metadata = {} } = upload;
  const encoded = encodeMetadata(metadata);
  const headers = {
    'Tus-Resumable': TUS_VERSION,
    'Idempotency-Key': idempotencyKey,
    ...(size === null ? { 'Upload-Defer-Length': '1' } : { 'Upload-Length': String(size) }),
    ...(encoded === '' ? {} : { 'Upload-Metadata': encoded }),
  };
  const response = await http.send({ method: 'POST', url: endpoint, headers, signal });
  return new URL(response.header('Location') ?? '', endpoint).href;
}

/** tus 1.0.0, Creation: keys, and values as base64 of their UTF-8. */
function encodeMetadata(metadata: Readonly<Record<string, string>>): string {
  const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return Object.entries(metadata)
    .map(([key, value]) => `${key} ${base64(String(value))}`)
    .join(',');
}
