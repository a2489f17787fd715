// A form as it comes: its parts, its pace, and how much of it is still to come.
import type { IncomingMessage } from 'node:http';
import type { Transform } from 'node:stream';
import { MIMEType } from 'node:util';
import busboy from 'busboy';
import { UploadError } from '../../shared/errors.ts';
import { MIN_BYTES_PER_TIMEOUT } from '../staging/body-source.ts';
import { cleanPartHeads } from './part-heads.ts';

/** The rest of a smaller form is read to the end, however soon its file is refused. */
const WORTH_STOPPING_BYTES = 8 * 1024 * 1024;

/** The name as the sender's file has it; empty for a field that was left empty. HTML, multipart/form-data: what would end the header is escaped, and nothing else. */
export function sentName(filename: string | undefined): string {
  return (filename ?? '').replace(/%(22|0D|0A)/g, (_escape, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** @throws UploadError ERR_INVALID_FORM without a boundary, say */
export function parserOf(request: IncomingMessage): { heads: Transform; parser: busboy.Busboy } {
  try {
    const boundary = new MIMEType(request.headers['content-type'] ?? '').params.get('boundary');
    if (!boundary) throw new UploadError('ERR_INVALID_FORM');
    const parser = busboy({
      // Both look for the same one.
      headers: { 'content-type': `multipart/form-data; boundary="${boundary.replace(/["\\]/g, '\\$&')}"` },
      defParamCharset: 'utf8',
      // What becomes of a path is decided in one place for every door.
      preservePath: true,
      limits: { fields: 100, fieldSize: 64 * 1024, headerPairs: 100 },
    });
    return { heads: cleanPartHeads(boundary), parser };
  } catch (cause) {
    throw new UploadError('ERR_INVALID_FORM', { cause });
  }
}

/** To be called once in each `bodyTimeout`: between the files of a form nobody else sees that it has stopped coming. */
export function watchPace(request: IncomingMessage, tooSlow: () => void): () => void {
  let seen = request.socket.bytesRead;
  return () => {
    const { bytesRead } = request.socket;
    // A paused form waits for us.
    if (!request.isPaused() && bytesRead - seen < MIN_BYTES_PER_TIMEOUT) tooSlow();
    seen = bytesRead;
  };
}

/** What is still to come of a form costs its sender more than a new connection does. */
export function isFarFromOver(request: IncomingMessage): boolean {
  return !request.complete && Number(request.headers['content-length'] ?? Number.POSITIVE_INFINITY) > WORTH_STOPPING_BYTES;
}

export function asFormError(cause: unknown): UploadError {
  return cause instanceof UploadError ? cause : new UploadError('ERR_INVALID_FORM', { cause });
}
