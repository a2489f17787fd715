import { randomBytes } from 'node:crypto';
import { JUST_CREATED, type Upload } from '../../server/ledger/upload.ts';

export const HOUR = 3_600_000;

/** A row as it is right after a creation, with what the test says. */
export function newUpload(values: Partial<Upload> = {}): Upload {
  const now = Date.now();
  return {
    ...JUST_CREATED,
    id: randomBytes(16).toString('hex'),
    owner: 'somebody',
    length: 100,
    metadata: '',
    originalName: null,
    claimedType: null,
    relativePath: null,
    name: null,
    idempotencyKey: null,
    createdAt: now,
    updatedAt: now,
    expiresAt: now + HOUR,
    ...values,
  };
}
