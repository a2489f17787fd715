// Parsing of a form's body, and limits of its pace and of the rest that is read after a refusal.
import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { MIMEType } from 'node:util';
import busboy from 'busboy';
import { UploadError } from '../../shared/errors.ts';
import { MIN_BYTES_PER_TIMEOUT } from '../staging/body-source.ts';
import { cleanPartHeads } from './part-heads.ts';

/** The content type of nearly all forms. */
const PLAIN_TYPE = /^multipart\/form-data; ?boundary=([\w'-]+)$/;
/** After a refusal, a smaller form is still read to its end. */
const WORTH_STOPPING_BYTES = 8 * 1024 * 1024;

/**
 * The name of the sender's file; empty for an empty file field. HTML, multipart/form-data: browsers escape only quotes and line breaks,
 * which would end the header.
 */
export function sentName(filename: string | undefined): string {
  return (filename ?? '').replace(/%(22|0D|0A)/g, (_escape, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** @throws UploadError ERR_INVALID_FORM without a boundary */
export function boundaryOf(request: IncomingMessage): string {
  try {
    const type = request.headers['content-type'] ?? '';
    const boundary = PLAIN_TYPE.exec(type)?.[1] ?? new MIMEType(type).params.get('boundary');
    if (boundary) return boundary;
  } catch (cause) {
    throw new UploadError('ERR_INVALID_FORM', { cause });
  }
  throw new UploadError('ERR_INVALID_FORM');
}

/** @throws UploadError ERR_INVALID_FORM */
export function parserOf(boundary: string): { heads: Transform; parser: busboy.Busboy } {
  try {
    const parser = busboy({
      // busboy and `cleanPartHeads` must use the same boundary.
      headers: { 'content-type': `multipart/form-data; boundary="${boundary.replace(/["\\]/g, '\\$&')}"` },
      defParamCharset: 'utf8',
      // Paths in names are handled in one place for all protocols.
      preservePath: true,
      limits: { fields: 100, fieldSize: 64 * 1024, headerPairs: 100 },
    });
    return { heads: cleanPartHeads(boundary), parser };
  } catch (cause) {
    throw new UploadError('ERR_INVALID_FORM', { cause });
  }
}

/** Returns a function to call once in each `bodyTimeout`. Between the files of a form, no other code notices that its bytes stopped. */
export function watchPace(request: IncomingMessage, tooSlow: () => void): () => void {
  let seen = request.socket.bytesRead;
  return () => {
    const { bytesRead } = request.socket;
    // A paused form waits for the server, not for its sender.
    if (!request.isPaused() && bytesRead - seen < MIN_BYTES_PER_TIMEOUT) tooSlow();
    seen = bytesRead;
  };
}

/** True when sending the rest of the form costs its sender more than a new connection. */
export function isFarFromOver(request: IncomingMessage): boolean {
  return !request.complete && Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY) > WORTH_STOPPING_BYTES;
}

export function asFormError(cause: unknown): UploadError {
  return cause instanceof UploadError ? cause : new UploadError('ERR_INVALID_FORM', { cause });
}
