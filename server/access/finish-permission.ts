// Before a file is accepted, checks that its sender's permission was not revoked. The sender is not involved.
import type { Rejection } from '../../shared/errors.ts';
import type { FinishPermission } from '../finish/permission.ts';
import type { Credentials } from '../ledger/credentials.ts';
import type { AccessUrl } from './access-url.ts';

export interface FinishPermissionOptions {
  credentials: Pick<Credentials, 'get'>;
  /** Undefined: no application decides. */
  accessUrl: AccessUrl | undefined;
}

/**
 * Keys, links and grants can be revoked, and the application of LANDFALL_ACCESS_URL may change its mind. A permission that has expired
 * meanwhile is no reason to refuse: it was valid when the upload began.
 */
export function createFinishPermission({ credentials, accessUrl }: FinishPermissionOptions): FinishPermission {
  return {
    async mayFinish(upload) {
      if (upload.source === 'url') {
        const refusal = await accessUrl?.refusalToFinish(upload);
        return refusal && forbidden(refusal.detail);
      }
      if (upload.credential === null) return undefined;
      const given = await credentials.get(upload.credential);
      // The ledger has only those grants that were revoked.
      return given === undefined || given.removedAt === null ? undefined : forbidden('The permission to upload it was revoked.');
    },
  };
}

function forbidden(detail: string | undefined): Rejection {
  return { code: 'ERR_FORBIDDEN', ...(detail !== undefined && { detail }) };
}
