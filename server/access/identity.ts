// The identity of a request's sender. All protocols ask for it in the same way.
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import type { Grantee } from '../ledger/limits.ts';
import type { UploadId } from '../ledger/upload-id.ts';

/** What a request is about to do: `inspect` asks for the state of an upload, `append` brings bytes, `terminate` cancels. */
export type Intent = 'create' | 'append' | 'inspect' | 'download' | 'terminate';

export interface Identity extends Grantee {
  /** A guest: it has access only to uploads created by the same credential, and not to others of its owner. */
  readonly isConfined: boolean;
  /** The credential came in a header, which a link on a page cannot send: addresses in its records are signed. */
  readonly isByHeader: boolean;
  /** When the credential expires, by the wall clock, in milliseconds; null or absent: never. */
  readonly endsAt?: number | null;
  /** The title of the credential, if it has one. */
  readonly title?: string;
}

/** @throws UploadError 401, 403, 429, 503 */
export type Access = (request: IncomingMessage, intent: Intent, id?: UploadId) => Promise<Identity>;

/** One way to identify a sender. */
export interface AccessSource {
  /**
   * Undefined: the request has no credential of this kind.
   * @throws UploadError for an invalid credential; no other source is asked then
   */
  identify(request: IncomingMessage, intent: Intent, id?: UploadId): Promise<Identity | undefined>;
}

/**
 * The first source that knows the sender decides. A credential that no source knows is refused, never treated as a missing one.
 *
 * @param last asked when no other source knows the sender; absent: 401
 */
export function accessBy(sources: readonly AccessSource[], last?: AccessSource): Access {
  return async (request, intent, id) => {
    const identity = await identify(sources, last, request, intent, id);
    requireAction(request, identity, intent);
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

/** The token of `Authorization: Bearer` (RFC 6750, 2.1); undefined for another scheme or none. */
export function bearerOf(request: IncomingMessage): string | undefined {
  return /^Bearer +([\w.~+/-]+=*) *$/i.exec(request.headers.authorization ?? '')?.[1];
}

/**
 * RFC 6750, 3: the `WWW-Authenticate` of a refusal. Browsers show no dialog for this scheme.
 * @param error tells the sender of a token why it does not suffice
 */
export function bearerChallenge(request: IncomingMessage, error: 'invalid_token' | 'insufficient_scope'): string {
  return `Bearer realm="Landfall"${bearerOf(request) === undefined ? '' : `, error="${error}"`}`;
}

/** `create` includes appending to the upload and inspecting it. @throws UploadError 403 */
function requireAction(request: IncomingMessage, { limits: { actions } }: Identity, intent: Intent): void {
  if (actions === undefined || intent === 'inspect' || actions.includes(intent === 'append' ? 'create' : intent)) return;
  const hasToken = bearerOf(request) !== undefined;
  throw new UploadError('ERR_ACTION_NOT_ALLOWED', {
    ...(hasToken && { headers: { 'WWW-Authenticate': bearerChallenge(request, 'insufficient_scope') } }),
  });
}

/** True when the identity has access to the upload. For all other identities the upload does not exist. */
export function hasAccessTo(identity: Identity, upload: { owner: string; credential: string | null }): boolean {
  return upload.owner === identity.owner && (!identity.isConfined || upload.credential === identity.credential);
}
