// Who asks. Every request is answered to an identity, wherever that comes from, and every door asks the same way.
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import type { Grantee } from '../ledger/limits.ts';
import type { UploadId } from '../ledger/upload-id.ts';

/** What a request is about to do. `finish` is asked without a request, before a verdict. */
export type Intent = 'create' | 'append' | 'inspect' | 'download' | 'terminate';

export interface Identity extends Grantee {
  /** It reaches what it created by the same credential alone, and nothing else of its owner's: a guest's. */
  readonly isConfined: boolean;
  /** It came in a header, which a link on a page can't carry: addresses that it is told are signed. */
  readonly isByHeader: boolean;
  /** When what was given ends by itself, by the wall's clock, in milliseconds; null, or absent: never. */
  readonly endsAt?: number | null;
  /** What it is called, where it was given out by name. */
  readonly title?: string;
}

/** @throws UploadError 401, 403, 429, 503 */
export type Access = (request: IncomingMessage, intent: Intent, id?: UploadId) => Promise<Identity>;

/** One way of being known. */
export interface AccessSource {
  /**
   * Undefined: the request shows nothing of this kind.
   * @throws UploadError for what is shown and does not count: nobody else is asked then
   */
  identify(request: IncomingMessage, intent: Intent, id?: UploadId): Promise<Identity | undefined>;
}

/**
 * The first source that knows the sender decides. What is shown and known to none is refused, never taken for nothing shown.
 *
 * @param last asked when nothing is shown that any of the others knows; absent: then it is 401
 */
export function accessBy(sources: readonly AccessSource[], last?: AccessSource): Access {
  return async (request, intent, id) => {
    const identity = await identify(sources, last, request, intent, id);
    requireAction(identity, intent);
    return identity;
  };
}

async function identify(
  sources: readonly AccessSource[],
  last: AccessSource | undefined,
  request: IncomingMessage,
  intent: Intent,
  id: UploadId | undefined,
): Promise<Identity> {
  for (const source of sources) {
    const identity = await source.identify(request, intent, id);
    if (identity !== undefined) return identity;
  }
  if (last !== undefined) {
    const identity = await last.identify(request, intent, id);
    if (identity !== undefined) return identity;
  }
  throw new UploadError('ERR_UNAUTHORIZED');
}

/** The token of `Authorization: Bearer` (RFC 6750, 2.1); undefined where there is none, or another scheme. */
export function bearerOf(request: IncomingMessage): string | undefined {
  return /^Bearer +([\w.~+/-]+=*) *$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** Whoever may create may append to what he created, and is told of it. @throws UploadError 403 */
function requireAction({ limits: { actions } }: Identity, intent: Intent): void {
  if (actions === undefined || intent === 'inspect' || actions.includes(intent === 'append' ? 'create' : intent)) return;
  throw new UploadError('ERR_ACTION_NOT_ALLOWED');
}

/** Whether the identity is one that the upload may be shown to. To all others there is no such upload. */
export function reaches(identity: Identity, upload: { owner: string; credential: string | null }): boolean {
  return upload.owner === identity.owner && (!identity.isConfined || upload.credential === identity.credential);
}
