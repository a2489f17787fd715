import type { ErrorCode } from './errors.ts';

/** Every upload ends in exactly one of the last five; `removed` follows `accepted` alone. */
export const UPLOAD_STATES = ['receiving', 'inspecting', 'accepted', 'rejected', 'expired', 'terminated', 'removed'] as const;
export type UploadState = (typeof UPLOAD_STATES)[number];

/** The only moves there are. The ledger makes each a compare-and-set. */
export const UPLOAD_TRANSITIONS: Readonly<Record<UploadState, readonly UploadState[]>> = {
  receiving: ['inspecting', 'rejected', 'expired', 'terminated'],
  inspecting: ['accepted', 'rejected', 'receiving'],
  accepted: ['removed'],
  rejected: [],
  expired: [],
  terminated: [],
  removed: [],
};

/** What JSON can say. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** What `GET /files/:id/status` answers, and what a form's result is made of. */
export interface UploadRecord {
  id: string;
  state: UploadState;
  /** The safe name; before the inspection, the one it would get. Null while it can't be known yet. */
  name: string | null;
  /** As the sender gave it. */
  originalName: string | null;
  /** Bytes; null while deferred. */
  length: number | null;
  /** Bytes acknowledged: what HEAD says. */
  offset: number;
  /** Detected media type, `application/octet-stream` where none was; null before acceptance. */
  type: string | null;
  /** `crc32:` and 8 hex digits, of the whole file; null before acceptance. */
  checksum: string | null;
  /** 64 hex digits, where the server is told to compute it. */
  sha256?: string;
  /** ISO 8601, UTC. */
  createdAt: string;
  updatedAt: string;
  /** When an unfinished upload, an accepted file, or the record of a refused one goes; null where nothing goes by itself. */
  expiresAt: string | null;
  /**
   * Where the upload, and after acceptance the file, is addressed: absolute, or a path on this server. It is one that its reader
   * may use, signed and for a time where that takes more than the address; null for a file that he may not download.
   */
  url: string | null;
  relativePath?: string;
  /** What a check of the application's attached to the verdict. */
  result?: Json;
  error?: { code: ErrorCode; title: string; detail?: string };
}

/** Where an accepted file is: a path below the storage's root, with slashes, or an object in a bucket. */
export type FilePlace = { path: string } | { bucket: string; key: string };

/** What a scan for malware found. `detail`: the malware's name, or why the file could not be scanned. */
export interface ScanReport {
  outcome: 'clean' | 'malware' | 'unscannable';
  detail?: string;
}

/** An upload as the application sees it: in checks, events and `landfall-server show`. No sender is told what it has beyond the record. */
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
  /** Where a scanner is configured, and was asked. */
  scan?: ScanReport;
}
