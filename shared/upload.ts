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

/**
 * What `GET /files/:id/status` answers, `onVerdict` is called with, and a form's result is made of.
 *
 * @example
 * ```ts
 * import { createLandfall, type UploadRecord } from 'landfall-server';
 *
 * const tell = ({ state, name, length, checksum }: UploadRecord) => console.log(state, name, length, checksum);
 * const landfall = createLandfall({ dataDir: './data' }, { onVerdict: tell });
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
  /** When an unfinished upload, or the record of a refused one, goes; null where nothing goes by itself. */
  expiresAt: string | null;
  /** Where the upload, and after acceptance the file, is addressed: absolute, or a path on this server. */
  url: string;
  /** Where the file stood in the folder that was sent, `/` between. */
  relativePath?: string;
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
