// /files: reads the upload's id from the path alone, and dispatches the request by its method.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { OFFSET_CONTENT_TYPE, TUS_VERSION } from '../../shared/protocol.ts';
import type { Downloads } from '../access/downloads.ts';
import type { Access, Intent } from '../access/identity.ts';
import type { Removal } from '../finish/removal.ts';
import type { AdoptedIds } from '../ledger/adopted-ids.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload } from '../ledger/upload.ts';
import { parseUploadId } from '../ledger/upload-id.ts';
import type { Receiver } from '../staging/receiver.ts';
import type { Storage } from '../storage/storage.ts';
import { requireVersion } from '../tus/headers.ts';
import type { UploadsRequest } from '../tus/request-context.ts';
import type { Uploads } from '../tus/uploads.ts';
import { download } from './download.ts';
import { methodNotAllowed } from './methods.ts';
import { answerStatus } from './status.ts';

export interface FilesOptions {
  access: Access;
  downloads: Downloads;
  uploads: Uploads;
  ledger: Ledger;
  adopted: Pick<AdoptedIds, 'find'>;
  receiver: Receiver;
  storage: Storage;
  removal: Removal;
  draining: AbortSignal;
}

// No other path addresses an upload. A query or another segment could smuggle in the id of another upload.
const ADDRESS = /^(?:\/?|\/([0-9a-f]{32})(\/status)?)(?:\?(.*))?$/;
/** The address of an upload adopted from another server: one segment, which the ledger knows as a whole. */
const ADOPTED_ADDRESS = /^\/([^/?]+)(\/status)?(?:\?(.*))?$/;

const COLLECTION_METHODS = 'OPTIONS, POST';
const UPLOAD_METHODS = 'OPTIONS, HEAD, PATCH, DELETE, GET';
const STATUS_METHODS = 'OPTIONS, GET, HEAD';

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
  const { name, adopted, isStatus, query } = readAddress(path);
  if (method === 'OPTIONS') {
    // Anyone may ask this, so the answer must not reveal which adopted names exist.
    if (adopted !== undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    response.setHeader('Allow', name === undefined ? COLLECTION_METHODS : isStatus ? STATUS_METHODS : UPLOAD_METHODS);
    // RFC 5789, 3.1.
    if (name !== undefined && !isStatus) response.setHeader('Accept-Patch', OFFSET_CONTENT_TYPE);
    await uploads.options({ raw: request, response });
    return;
  }
  // Looked up before access is checked. A sender without access is not told whether the upload exists.
  const id = adopted === undefined ? parseUploadId(name) : await options.adopted.find(adopted);
  const isTus = request.headers['tus-resumable'] !== undefined;
  if (id !== undefined && !isStatus && (method === 'GET' || (method === 'HEAD' && !isTus)) && downloads.isOpen(id, query)) {
    const upload = await options.ledger.get(id);
    if (upload === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
    await download(options, request, response, upload);
    return;
  }
  const identity = await access(request, intentOf(request, method, isStatus), id);
  if (adopted !== undefined && id === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
  const tus: UploadsRequest = { raw: request, response, identity, collectionUrl };
  // The record has no tus headers, so HEAD of it is answered as GET is.
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
  // Also for a HEAD that could have been a download's.
  response.setHeader('Tus-Resumable', TUS_VERSION);
  requireVersion(request);
  if (id === undefined) {
    if (method !== 'POST') throw methodNotAllowed(COLLECTION_METHODS);
    await uploads.create(tus);
  } else if (method === 'HEAD') await uploads.head(tus, id);
  else if (method === 'PATCH') return uploads.patch(tus, id);
  else if (method === 'DELETE') await uploads.terminate(tus, id);
  else throw methodNotAllowed(UPLOAD_METHODS);
}

/**
 * tus 1.0.0, core: every response carries the version, refusals included. Call it before anything can refuse the request. Downloads and
 * records are not of the protocol.
 */
export function announceVersion(request: IncomingMessage, response: ServerResponse): void {
  const method = methodOf(request);
  if (method === 'GET' || method === 'OPTIONS' || (method === 'HEAD' && request.headers['tus-resumable'] === undefined)) return;
  response.setHeader('Tus-Resumable', TUS_VERSION);
}

/** The intent of a request, from its method alone, because access is checked before anything else. */
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
      // Without tus headers, HEAD describes an accepted file and needs the right to download it. A tus client asks for the offset.
      return request.headers['tus-resumable'] === undefined ? 'download' : 'inspect';
  }
}

interface Address {
  /** The id of an upload; without `name` and `adopted`: the collection. */
  name?: string | undefined;
  /** Perhaps the id of an upload on another server. */
  adopted?: string | undefined;
  isStatus: boolean;
  query: string | undefined;
}

/** @throws UploadError 404 */
function readAddress(path: string): Address {
  const [matched, name, status, query] = ADDRESS.exec(path) ?? [];
  if (matched !== undefined) return { name, isStatus: status !== undefined, query };
  const [, adopted, statusOfIt, queryOfIt] = ADOPTED_ADDRESS.exec(path) ?? [];
  if (adopted === undefined) throw new UploadError('ERR_UPLOAD_NOT_FOUND');
  return { adopted, isStatus: statusOfIt !== undefined, query: queryOfIt };
}

/** tus 1.0.0, X-HTTP-Method-Override: for clients that can only POST. */
export function methodOf(request: IncomingMessage): string {
  const override = request.headers['x-http-method-override'];
  if (request.method === 'POST' && typeof override === 'string') return override.toUpperCase();
  return request.method ?? '';
}
