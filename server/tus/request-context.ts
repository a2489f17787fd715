// One request to the tus resource, and what becomes known of it on its way through the library's handlers.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Identity } from '../access/identity.ts';
import type { Upload } from '../ledger/upload.ts';
import type { Append, Creation } from './headers.ts';
import type { TusRequest } from './stock-server.ts';

/** One request on the resource, after access was granted. */
export interface UploadsRequest {
  raw: IncomingMessage;
  response: ServerResponse;
  identity: Identity;
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

/** Without a reason, an abort makes an error with a stack each time. */
export const GONE = 'nobody waits any more';

/** One signal for several, that leaves nothing behind on those that live longer. */
export function linked(signals: readonly AbortSignal[]): { signal: AbortSignal; unlink(): void } {
  const controller = new AbortController();
  const abort = () => controller.abort(signals.find((signal) => signal.aborted)?.reason);
  for (const signal of signals) signal.addEventListener('abort', abort);
  if (signals.some((signal) => signal.aborted)) abort();
  return {
    signal: controller.signal,
    unlink() {
      for (const signal of signals) signal.removeEventListener('abort', abort);
    },
  };
}
