// One request to the tus resource, and what becomes known of it on its way through the library's handlers.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Upload } from '../ledger/upload.ts';
import type { Append, Creation } from './headers.ts';
import type { TusRequest } from './stock-server.ts';

/** One request on the resource, after access was granted. */
export interface UploadsRequest {
  raw: IncomingMessage;
  response: ServerResponse;
  owner: string;
  /** Address of the collection: `Location` is this and the id. */
  collectionUrl: string;
}

export interface Context {
  request: UploadsRequest;
  creation?: Creation;
  append?: Append;
  /** The row as it was read under the lock, or made. */
  upload?: Upload;
  /** All of it comes with the creation: it has no row before that. */
  comesWhole?: boolean;
  /** The length was declared with this request when every byte had been acknowledged before. */
  isDeclaring?: boolean;
}

/** Of the request that the library hands to its hooks. */
export function contextOf(request: unknown): Context {
  return (request as TusRequest<Context>).context;
}
