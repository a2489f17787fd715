import type { ResumeStore } from './resume/store.ts';

/** Why headers are asked for. After `unauthorized` the ones given before were answered 401: make new ones. */
export interface HeadersRequest {
  readonly method: string;
  readonly url: string;
  readonly reason: 'request' | 'unauthorized';
  /** With `unauthorized`, the headers that were given for the request that was answered so. */
  readonly refused?: UploadHeaders;
}

export type UploadHeaders = Readonly<Record<string, string>>;

/** Milliseconds. */
export interface Timeouts {
  /** For a connection and the answer to a request without a body. Default 30 s. */
  readonly connectMs: number;
  /** Without one byte moving while a body is sent. Default 30 s. */
  readonly stallMs: number;
  /** For the answer after the last byte of a body. Default 120 s: the server may hold it while it inspects. */
  readonly answerMs: number;
}

export interface UploadOptions {
  /** Where uploads are created, `https://host/files`. In a browser it may be relative to the page. */
  endpoint: string | URL;
  /** Name of the file; default: what the source is called. */
  name?: string;
  /** Media type to claim; default: what the source says. The server looks for itself. */
  type?: string;
  /** Where the file stands in a folder, `/` between: kept in the record. Default in a browser: `webkitRelativePath`. */
  relativePath?: string;
  /** More pairs of `Upload-Metadata`. */
  metadata?: Readonly<Record<string, string>>;
  /**
   * Sent with every request. A function is asked before each; after a 401 it is asked once more with
   * `reason: 'unauthorized'`, and only a second 401 in a row ends the upload.
   */
  headers?: UploadHeaders | ((request: HeadersRequest) => UploadHeaders | Promise<UploadHeaders>);
  /** Cancels when aborted; the server's part is left to expire. */
  signal?: AbortSignal;
  /** Go on where an earlier visit or process stopped, and leave a record for a later one. Default true. */
  resume?: boolean;
  /** Where records are kept. Default: `localStorage` in browsers, files in the state directory in Node. */
  store?: ResumeStore;
  /** Bytes of one PATCH, or `adaptive` (the default): by the speed and health of the connection. */
  chunkSize?: number | 'adaptive';
  /** Give up after so many milliseconds without confirmed progress, offline time not counted. Default 10 minutes in browsers, 30 in Node. */
  budgetMs?: number;
  timeouts?: Partial<Timeouts>;
  /** `direct`: past the server to S3, by addresses it signs, where it has them to give; else, and by default, through it. */
  via?: 'server' | 'direct';
  /**
   * Compute a CRC-32 while the file is read and let the server compare: of the whole file, whose mismatch is a refusal, and of
   * each chunk, which is sent again when it was damaged on the way: where the server offers that, and not for a while after a
   * connection broke or was slow. Node sends a file in one body, which has only the former, unless `chunkSize` is a number. Default true.
   */
  checksum?: boolean;
  /**
   * Read the whole file again before its last bytes are sent, and fail as changed where it is no longer what was sent. Default:
   * up to 256 MiB; of a larger file head, middle and tail are compared. `true` needs the checksum, whatever `checksum` says.
   */
  verifySource?: boolean;
  /** Browsers only: send cookies to another origin. Default false. */
  withCredentials?: boolean;
  /** Browsers only: keep the screen from sleeping while bytes move. Default true. */
  keepAwake?: boolean;
  /** Browsers only: ask before the page is left while bytes move. Default true. */
  confirmLeaving?: boolean;
}

export interface QueueOptions extends UploadOptions {
  /** How many upload at once. Default 3. */
  concurrency?: number;
}
