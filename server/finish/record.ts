import type { UploadError } from '../../shared/errors.ts';
import type { ApplicationRecord, FilePlace, Json, ScanReport, UploadRecord } from '../../shared/upload.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { storedMetadata } from '../ledger/stored-metadata.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import { formatChecksum, NO_CHECKSUM } from '../staging/running-checksum.ts';
import { acknowledgedOffset, heldOffset, knownOffset, storedRejection } from './verdict-answers.ts';

/** Returns where the storage keeps the file of this name in this directory. */
export type PlaceOf = (directory: string, name: string) => FilePlace;

/** An upload as its sender sees it. `stored` is the number of staged bytes, which counts only while the upload is `receiving`. */
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
    expiresAt: wallTimeOf(ledger, (upload.state === 'removed' ? upload.recordExpiresAt : null) ?? upload.expiresAt),
    url,
    ...(upload.relativePath === null ? {} : { relativePath: upload.relativePath }),
    ...(upload.result === null ? {} : { result: JSON.parse(upload.result) as Json }),
    ...(upload.state === 'rejected' ? { error: shown(storedRejection(upload)) } : {}),
  };
}

/**
 * An upload as the application sees it.
 * @param record the upload as its sender sees it
 */
export function applicationRecord(upload: Upload, record: UploadRecord, placeOf: PlaceOf): ApplicationRecord {
  return {
    ...record,
    owner: upload.owner,
    metadata: metadataOf(upload),
    claimedType: upload.claimedType,
    place: upload.state === 'accepted' ? placeOf(upload.target, upload.name) : null,
    attempts: upload.attempt,
    ...(upload.scan === null ? {} : { scan: JSON.parse(upload.scan) as ScanReport }),
  };
}

/** Forms and direct uploads have no Upload-Metadata: their name, type and path get the keys that tus clients use. */
function metadataOf(upload: Upload): Record<string, string> {
  const { metadata, originalName, claimedType, relativePath } = upload;
  if (metadata !== '') return storedMetadata(upload);
  const known = Object.entries({ filename: originalName, filetype: claimedType, relativePath });
  return Object.fromEntries(known.filter((pair): pair is [string, string] => pair[1] !== null));
}

function wallTimeOf(ledger: Ledger, deadline: number | null): string | null {
  return deadline === null ? null : ledger.wallTime(deadline).toISOString();
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
