// Before a file is accepted: is its sender's right still there? Asked of who gave it, without the sender.
import type { Rejection } from '../../shared/errors.ts';
import type { FinishPermission } from '../finish/permission.ts';
import type { Credentials } from '../ledger/credentials.ts';
import type { AccessUrl } from './access-url.ts';

export interface GivenRightsOptions {
  credentials: Pick<Credentials, 'get'>;
  /** Undefined: there is no application to ask. */
  accessUrl: AccessUrl | undefined;
}

/**
 * What an operator gave out can be taken back (keys, links; grants, which applications sign), and the application that decides may
 * change its mind. What has ended since is no reason: it was good when the upload began.
 */
export function givenRights({ credentials, accessUrl }: GivenRightsOptions): FinishPermission {
  return {
    async mayFinish(upload) {
      if (upload.source === 'url') {
        const refusal = await accessUrl?.refusalToFinish(upload);
        return refusal && forbidden(refusal.detail);
      }
      if (upload.credential === null) return undefined;
      const given = await credentials.get(upload.credential);
      // Of grants the ledger has those alone that were taken back.
      return given === undefined || given.removedAt === null ? undefined : forbidden('The permission that it was sent by was taken back.');
    },
  };
}

function forbidden(detail: string | undefined): Rejection {
  return { code: 'ERR_FORBIDDEN', ...(detail !== undefined && { detail }) };
}
