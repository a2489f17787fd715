import type { ErrorCode } from './errors.ts';

/** Every upload ends in exactly one of `accepted`, `rejected`, `expired` and `terminated`. `removed` follows `accepted` alone. */
export const UPLOAD_STATES = ['receiving', 'inspecting', 'accepted', 'rejected', 'expired', 'terminated', 'removed'] as const;
/**
 * Where an upload stands on the server.
 * - `receiving`: bytes are missing, or the inspection has not begun
 * - `inspecting`: every byte is stored; the verdict is not known yet
 * - `accepted`: the file is in final storage
 * - `rejected`: a check refused the file
 * - `expired`: the sender brought nothing for as long as `LANDFALL_EXPIRE_AFTER`
 * - `terminated`: the sender cancelled it
 * - `removed`: an operator, or a retention limit, removed the accepted file
 */
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

/**
 * What `GET /files/:id/status` answers, and a form's result is made of.
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
  /** 32 hex digits, made by the server. */
  id: string;
  /** Where the upload stands. */
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
  /** When the row was last written; ISO 8601, UTC. */
  updatedAt: string;
  /** When an unfinished upload, an accepted file, or the record of a refused one goes; null where nothing goes by itself. */
  expiresAt: string | null;
  /**
   * Where the upload, and after acceptance the file, is addressed: absolute, or a path on this server. It is one that its reader
   * may use, signed and for a time where that takes more than the address; null for a file that he may not download.
   */
  url: string | null;
  /** Where the file stood in the folder that was sent, `/` between. */
  relativePath?: string;
  /** What a check of the application attached to the verdict. */
  result?: Json;
  /** Why it was refused; only in `rejected`. */
  error?: {
    /** As in docs/errors.md. */
    code: ErrorCode;
    /** A sentence for the person who uploads. */
    title: string;
    /** What is special about this file. */
    detail?: string;
  };
}

/** Where an accepted file is: a path below the storage's root, with slashes, or an object in a bucket. */
export type FilePlace = { path: string } | { bucket: string; key: string };

/**
 * What a scan for malware found.
 *
 * @example
 * ```ts
 * import type { ScanReport } from 'landfall-server';
 *
 * const lineOf = ({ outcome, detail }: ScanReport) => (detail === undefined ? outcome : `${outcome}: ${detail}`);
 * ```
 */
export interface ScanReport {
  /** `unscannable`: the scanner could not look into it. */
  outcome: 'clean' | 'malware' | 'unscannable';
  /** The malware's name, or why the file could not be scanned. */
  detail?: string;
}

/**
 * An upload as the application sees it: in checks, events and `landfall-server show`. No sender is told what it has beyond the record.
 *
 * @example
 * ```ts
 * import type { ApplicationRecord } from 'landfall-server';
 *
 * const whereOf = ({ place }: ApplicationRecord) => (place === null ? 'nowhere yet' : 'path' in place ? place.path : place.key);
 * ```
 */
export interface ApplicationRecord extends UploadRecord {
  /** Whose upload it is; empty where senders are not told apart. */
  owner: string;
  /** As the sender gave it, nothing in it verified. */
  metadata: Readonly<Record<string, string>>;
  /** The media type that the sender claims; null where it claims none. */
  claimedType: string | null;
  /** Where the accepted file is; null in every other state. */
  place: FilePlace | null;
  /** How many inspections have begun. */
  attempts: number;
  /** What the scan for malware found; only where a scanner was asked. */
  scan?: ScanReport;
}
