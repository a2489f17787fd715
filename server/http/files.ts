// /files: reads who is addressed from the path alone, and hands each method to whom it belongs.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { TUS_VERSION } from '../../shared/protocol.ts';
import type { Downloads } from '../access/downloads.ts';
import type { Access, Intent } from '../access/identity.ts';
import type { Removal } from '../finish/removal.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { parseUploadId } from '../ledger/upload-id.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Storage } from '../storage/storage.ts';
import { requireVersion } from '../tus/headers.ts';
import type { UploadsRequest } from '../tus/request-context.ts';
import type { Uploads } from '../tus/uploads.ts';
import { download } from './download.ts';
import { answerStatus } from './status.ts';

export interface FilesOptions {
  access: Access;
  downloads: Downloads;
  uploads: Uploads;
  ledger: Ledger;
  receiver: Receiver;
  storage: Storage;
  removal: Removal;
  draining: AbortSignal;
}

// Nothing but these is an upload's address. A query or a further segment could otherwise smuggle in another's id.
const ADDRESS = /^(?:\/?|\/([0-9a-f]{32})(\/status)?)(?:\?(.*))?$/;

/** `path` is what follows `/files` in the request's address, query included. @throws UploadError */
export async function answerFiles(
  options: FilesOptions,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  collectionUrl: string,
): Promise<void> {
  const { access, uploads, downloads } = options;
  const method = methodOf(request);
  const [matched, name, isStatus, query] = ADDRESS.exec(path) ?? [];
  const id = parseUploadId(name);
  if (matched === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
  if (method === 'OPTIONS') {
    await uploads.options({ raw: request, response });
    return;
  }
  const isTus = request.headers['tus-resumable'] !== undefined;
  if (id !== undefined && !isStatus && (method === 'GET' || (method === 'HEAD' && !isTus)) && downloads.isOpen(id, query)) {
    const upload = await options.ledger.get(id);
    if (upload === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    await download(options, request, response, upload);
    return;
  }
  const identity = await access(request, intentOf(request, method, isStatus !== undefined), id);
  const tus: UploadsRequest = { raw: request, response, identity, collectionUrl };
  // There is nothing of an upload's in it: whoever asks HEAD for the record is told as with GET.
  if (method === 'GET' || (method === 'HEAD' && isStatus)) {
    if (id === undefined) throw new UploadError('ERR_NOT_FOUND');
    const upload = await uploads.find(identity, id);
    const urlOf = (current: Upload) => downloads.addressFor(identity, current, collectionUrl);
    if (isStatus) await answerStatus(options, request, response, upload, urlOf, new URLSearchParams(query));
    else await download(options, request, response, upload);
    return;
  }
  if (isStatus || query !== undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
  if (method === 'HEAD' && id !== undefined && !isTus) {
    const upload = await uploads.find(identity, id);
    if (upload.state === 'accepted') {
      await download(options, request, response, upload);
      return;
    }
  }
  response.setHeader('Tus-Resumable', TUS_VERSION);
  requireVersion(request);
  if (id === undefined) {
    if (method !== 'POST') throw new UploadError('ERR_METHOD_NOT_ALLOWED');
    await uploads.create(tus);
  } else if (method === 'HEAD') await uploads.head(tus, id);
  else if (method === 'PATCH') await uploads.patch(tus, id);
  else if (method === 'DELETE') await uploads.terminate(tus, id);
  else throw new UploadError('ERR_METHOD_NOT_ALLOWED');
}

/** What a request is about to do, by its method alone: it is asked before anything else is looked at. */
function intentOf(request: IncomingMessage, method: string, isStatus: boolean): Intent {
  if (isStatus) return 'inspect';
  switch (method) {
    case 'POST':
      return 'create';
    case 'PATCH':
      return 'append';
    case 'DELETE':
      return 'terminate';
    case 'GET':
      return 'download';
    default:
      // Of an accepted file it tells as much as its first byte does; a client of the protocol looks for the offset.
      return request.headers['tus-resumable'] === undefined ? 'download' : 'inspect';
  }
}

/** tus 1.0.0, X-HTTP-Method-Override: for clients that can only POST. */
export function methodOf(request: IncomingMessage): string {
  const override = request.headers['x-http-method-override'];
  if (request.method === 'POST' && typeof override === 'string') return override.toUpperCase();
  return request.method ?? '';
}
