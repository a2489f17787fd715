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

/** Grants and tokens hold until their end, whoever signed them. Keys can be taken back, and applications change their mind. */
export function givenRights({ credentials, accessUrl }: GivenRightsOptions): FinishPermission {
  return {
    async mayFinish(upload) {
      const { source, credential } = upload;
      if (source === 'key' && credential !== null) {
        const key = await credentials.get(credential);
        return key === undefined || key.removedAt === null ? undefined : forbidden('The key that it was sent with was taken back.');
      }
      if (source !== 'url') return undefined;
      const refusal = await accessUrl?.refusalToFinish(upload);
      return refusal && forbidden(refusal.detail);
    },
  };
}

function forbidden(detail: string | undefined): Rejection {
  return { code: 'ERR_FORBIDDEN', ...(detail !== undefined && { detail }) };
}
