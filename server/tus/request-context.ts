// One request to the tus resource, and its state on the way through the handlers of @tus/server.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../access/identity.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Append, Creation } from './headers.ts';
import type { TusRequest } from './stock-server.ts';

/** One request to the resource, after access was granted. */
export interface UploadsRequest {
  raw: IncomingMessage;
  response: ServerResponse;
  identity: Identity;
  /** Address of the collection: `Location` is this and the id. */
  collectionUrl: string;
}

/** What @tus/server found when it checked a request that brings a body. */
export interface CheckedRequest {
  /** The acknowledged offset, which is the request's. */
  offset: number;
  /** Undefined while the length is not declared. */
  length: number | undefined;
  /** The number of bytes that the body may have. */
  maxBytes: number;
  /** The number of bytes that are stored; undefined when it was not read. */
  stored: number | undefined;
}

export interface Context {
  request: UploadsRequest;
  creation?: Creation;
  append?: Append;
  /** Set when @tus/server has checked a PATCH under the lock. */
  checked?: CheckedRequest;
  /** The row as it was read under the lock, or created. */
  upload?: Upload;
  /** True when the creation brings the whole file: the upload gets its row after its bytes. */
  comesWhole?: boolean;
  /** True when this request declares the length after all bytes were acknowledged. */
  isDeclaring?: boolean;
}

/** The context of the request that @tus/server passes to its hooks. */
export function contextOf(request: unknown): Context {
  return (request as TusRequest<Context>).context;
}
