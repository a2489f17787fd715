import type { ErrorCode } from './errors.ts';

/** Every upload ends in exactly one of `accepted`, `rejected`, `expired` and `terminated`. Only `accepted` may become `removed`. */
export const UPLOAD_STATES = ['receiving', 'inspecting', 'accepted', 'rejected', 'expired', 'terminated', 'removed'] as const;
/**
 * The state of an upload on the server.
 * - `receiving`: bytes are missing, or the inspection has not begun
 * - `inspecting`: every byte is stored, and there is no verdict yet
 * - `accepted`: the file is in final storage
 * - `rejected`: a check refused the file
 * - `expired`: the sender sent nothing for `LANDFALL_EXPIRE_AFTER`
 * - `terminated`: the sender cancelled it
 * - `removed`: an operator or a retention limit removed the accepted file
 */
export type UploadState = (typeof UPLOAD_STATES)[number];

/** All allowed transitions. The ledger makes each of them as a compare-and-set. */
export const UPLOAD_TRANSITIONS: Readonly<Record<UploadState, readonly UploadState[]>> = {
  receiving: ['inspecting', 'rejected', 'expired', 'terminated'],
  inspecting: ['accepted', 'rejected', 'receiving'],
  accepted: ['removed'],
  rejected: [],
  expired: [],
  terminated: [],
  removed: [],
};

/** Any JSON value. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/**
 * The record of an upload: the response of `GET /files/:id/status`, and each result of a form.
 *
 * @example
 * ```ts
 * import { createLandfall, type UploadRecord } from 'landfall-server';
 *
 * const tell = ({ state, name, length, checksum }: UploadRecord) => console.log(state, name, length, checksum);
 * const landfall = createLandfall({ dataDir: './data' }, { onEvent: ({ data }) => tell(data) });
 * ```
 */
export interface UploadRecord {
  /** 32 hex digits, chosen by the server. */
  id: string;
  /** The state of the upload. */
  state: UploadState;
  /** The safe name, provisional before the inspection; null while it is unknown. */
  name: string | null;
  /** The name that the sender sent. */
  originalName: string | null;
  /** Bytes; null while the length is deferred. */
  length: number | null;
  /** Acknowledged bytes, as in the response to HEAD. */
  offset: number;
  /** Detected media type, `application/octet-stream` if none was detected; null before acceptance. */
  type: string | null;
  /** `crc32:` and 8 hex digits, of the whole file; null before acceptance. */
  checksum: string | null;
  /** 64 hex digits, if the server is configured to compute them. */
  sha256?: string;
  /** ISO 8601, UTC. */
  createdAt: string;
  /** Time of the last change of the upload; ISO 8601, UTC. */
  updatedAt: string;
  /** When the server removes the unfinished upload, the accepted file, or the record of a refused file; null when it does not. */
  expiresAt: string | null;
  /**
   * Address of the upload, and after acceptance of the file: absolute, or a path on this server. Where downloads require a permission,
   * the address is signed for a limited time. Null for a file that the reader of the record may not download.
   */
  url: string | null;
  /** Path of the file in its folder, with `/` between segments. */
  relativePath?: string;
  /** JSON that a check of the application attached to the verdict. */
  result?: Json;
  /** Why the file was refused; only in `rejected`. */
  error?: {
    /** A code of docs/errors.md. */
    code: ErrorCode;
    /** A sentence for the person who uploads. */
    title: string;
    /** Details about this file. */
    detail?: string;
  };
}

/** Where an accepted file is stored: a path below the storage's root, with slashes, or an object in a bucket. */
export type FilePlace = { path: string } | { bucket: string; key: string };

/**
 * The result of a malware scan.
 *
 * @example
 * ```ts
 * import type { ScanReport } from 'landfall-server';
 *
 * const lineOf = ({ outcome, detail }: ScanReport) => (detail === undefined ? outcome : `${outcome}: ${detail}`);
 * ```
 */
export interface ScanReport {
  /** `unscannable`: the scanner could not inspect the file. */
  outcome: 'clean' | 'malware' | 'unscannable';
  /** Name of the malware, or why the file could not be scanned. */
  detail?: string;
}

/**
 * An upload as the application sees it, in checks, events and `landfall-server show`. Senders see only the fields of `UploadRecord`.
 *
 * @example
 * ```ts
 * import type { ApplicationRecord } from 'landfall-server';
 *
 * const whereOf = ({ place }: ApplicationRecord) => (place === null ? 'nowhere yet' : 'path' in place ? place.path : place.key);
 * ```
 */
export interface ApplicationRecord extends UploadRecord {
  /** Owner of the upload; empty when senders are anonymous. */
  owner: string;
  /** The metadata that the sender sent. It is not verified. */
  metadata: Readonly<Record<string, string>>;
  /** The media type that the sender claims; null when it claims none. */
  claimedType: string | null;
  /** Where the accepted file is stored; null in every other state. */
  place: FilePlace | null;
  /** Number of inspections that began. */
  attempts: number;
  /** The result of the malware scan, if a scanner is configured. */
  scan?: ScanReport;
}
