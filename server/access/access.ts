import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';

/** Who asks: the owner an upload is created under, and the only one who finds it. @throws UploadError 401, 403 */
export type Access = (request: IncomingMessage) => Promise<string>;

/** A rule of the embedding application's: the owner, or null for nobody. */
export type Authenticate = (request: IncomingMessage) => Promise<string | null> | string | null;

/** Everyone is one and the same. */
export const anonymous: Access = async () => '';

export function accessBy(authenticate: Authenticate): Access {
  return async (request) => {
    const owner: unknown = await authenticate(request);
    // A rule written without types may say undefined for nobody, or a number that no stored owner would equal.
    if (typeof owner !== 'string') throw new UploadError('ERR_UNAUTHORIZED');
    return owner;
  };
}
