// An upload as the application sees it.
import type { UploadRecord } from '../../shared/upload.ts';
import type { Config } from '../config/config.ts';
import { storedMetadata } from '../ledger/stored-metadata.ts';
import type { Upload } from '../ledger/upload.ts';

/** Where an accepted file is: a path below the storage's root, with slashes, or an object in a bucket. */
export type FilePlace = { path: string } | { bucket: string; key: string };

export interface ApplicationRecord extends UploadRecord {
  /** Empty: everyone. */
  owner: string;
  /** As the sender gave it, nothing in it verified. */
  metadata: Readonly<Record<string, string>>;
  /** The media type that the sender claims; null where it claims none. */
  claimedType: string | null;
  /** Of an accepted file; null otherwise. */
  place: FilePlace | null;
  /** Inspections begun. */
  attempts: number;
}

export function applicationRecord(upload: Upload, record: UploadRecord, config: Config): ApplicationRecord {
  const { storageBackend, s3Bucket, s3Prefix } = config;
  let place: FilePlace | null = null;
  if (upload.state === 'accepted') {
    const path = `${upload.target}/${upload.name}`;
    place = storageBackend === 's3' ? { bucket: s3Bucket, key: `${s3Prefix}files/${path}` } : { path };
  }
  return {
    ...record,
    owner: upload.owner,
    metadata: metadataOf(upload),
    claimedType: upload.claimedType,
    place,
    attempts: upload.attempt,
  };
}

/** Forms and direct uploads name what they know by the keys that tus clients use, too. */
function metadataOf(upload: Upload): Record<string, string> {
  const { metadata, originalName, claimedType, relativePath } = upload;
  if (metadata !== '') return storedMetadata(upload);
  const known = Object.entries({ filename: originalName, filetype: claimedType, relativePath });
  return Object.fromEntries(known.filter((pair): pair is [string, string] => pair[1] !== null));
}
