import { randomBytes } from 'node:crypto';
import type { Upload } from '../../server/ledger/upload.ts';

export const HOUR = 3_600_000;

/** A row as it is right after a creation, with what the test says. */
export function newUpload(values: Partial<Upload> = {}): Upload {
  const now = Date.now();
  return {
    id: randomBytes(16).toString('hex'),
    owner: 'somebody',
    state: 'receiving',
    length: 100,
    held: 'byte',
    metadata: '',
    originalName: null,
    claimedType: null,
    relativePath: null,
    name: null,
    type: null,
    target: null,
    provenOffset: 0,
    checksum: 0,
    checksumOffset: 0,
    unverifiedFrom: null,
    expectedChecksum: null,
    sha256: null,
    attempt: 0,
    strikes: 0,
    leaseOwner: null,
    retryAt: null,
    errorCode: null,
    errorDetail: null,
    policyHash: null,
    idempotencyKey: null,
    createdAt: now,
    updatedAt: now,
    expiresAt: now + HOUR,
    directDueAt: null,
    ...values,
  };
}
