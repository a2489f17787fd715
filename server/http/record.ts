import type { UploadError } from '../../shared/errors.ts';
import type { UploadRecord } from '../../shared/upload.ts';
import { acknowledgedOffset, heldOffset, knownOffset, storedRejection } from '../finish/verdict-answers.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import { formatChecksum, NO_CHECKSUM } from '../staging/running-checksum.ts';

/** An upload as others see it. `stored` is the bytes staged, which only an upload that receives still needs. */
export function toRecord(ledger: Ledger, upload: Upload, stored: number, url: string | null): UploadRecord {
  return {
    id: upload.id,
    state: upload.state,
    name: upload.name,
    originalName: upload.originalName,
    length: upload.length,
    offset: offsetOf(upload, stored),
    type: isAccepted(upload) ? upload.type : null,
    checksum: upload.state === 'accepted' && upload.checksumOffset !== NO_CHECKSUM ? formatChecksum(upload.checksum) : null,
    ...(isAccepted(upload) && upload.sha256 !== null ? { sha256: upload.sha256 } : {}),
    createdAt: new Date(upload.createdAt).toISOString(),
    updatedAt: new Date(upload.updatedAt).toISOString(),
    expiresAt: upload.expiresAt === null ? null : ledger.wallTime(upload.expiresAt).toISOString(),
    url,
    ...(upload.relativePath === null ? {} : { relativePath: upload.relativePath }),
    ...(upload.state === 'rejected' ? { error: shown(storedRejection(upload)) } : {}),
  };
}

function shown({ code, title, detail }: UploadError): NonNullable<UploadRecord['error']> {
  return { code, title, ...(detail === undefined ? {} : { detail }) };
}

function offsetOf(upload: Upload, stored: number): number {
  switch (upload.state) {
    case 'receiving':
      return acknowledgedOffset(upload, stored);
    case 'accepted':
    case 'removed':
      return upload.length;
    case 'expired':
    case 'terminated':
      return knownOffset(upload);
    default:
      return heldOffset(upload);
  }
}

function isAccepted(upload: Upload): upload is UploadIn<'accepted' | 'removed'> {
  return upload.state === 'accepted' || upload.state === 'removed';
}
