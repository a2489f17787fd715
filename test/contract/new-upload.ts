import { JUST_CREATED, toUpload, type UploadIn, type UploadRow } from '../../server/ledger/upload.ts';
import { newUploadId } from '../../server/ledger/upload-id.ts';
import type { UploadState } from '../../shared/upload.ts';

export const HOUR = 3_600_000;

/** The values of a starting inspection. */
export const BEGIN = { length: 100, target: '2020/01/02/x' };

/** The columns that a row in this state always has. */
const WITH: Readonly<Record<UploadState, Partial<UploadRow>>> = {
  receiving: {},
  inspecting: { target: BEGIN.target },
  accepted: { target: BEGIN.target, name: 'name.txt', type: 'text/plain' },
  rejected: { errorCode: 'ERR_EMPTY' },
  expired: {},
  terminated: {},
  removed: { target: BEGIN.target, name: 'name.txt', type: 'text/plain' },
};

/** A row right after a creation, with the test's values. */
export function newUpload<S extends UploadState = 'receiving'>(values: Partial<UploadRow> & { state?: S } = {}): UploadIn<S> {
  const now = Date.now();
  return toUpload({
    ...JUST_CREATED,
    id: newUploadId(),
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
    ...WITH[values.state ?? 'receiving'],
    ...values,
  }) as UploadIn<S>;
}
