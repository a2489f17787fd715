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
  /** When an unfinished upload, or the record of a refused one, goes; null where nothing goes by itself. */
  expiresAt: string | null;
  /**
   * Where the upload, and after acceptance the file, is addressed: absolute, or a path on this server. It is one that its reader
   * may use, signed and for a time where that takes more than the address; null for a file that he may not download.
   */
  url: string | null;
  relativePath?: string;
  error?: { code: ErrorCode; title: string; detail?: string };
}
