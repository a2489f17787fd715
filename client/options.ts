import type { ResumeStore } from './resume/store.ts';

/**
 * The request that headers are asked for.
 *
 * @example
 * ```ts
 * import { type HeadersRequest, upload } from 'landfall';
 *
 * const headers = async ({ reason }: HeadersRequest) => ({
 *   Authorization: `Bearer ${await token({ renew: reason === 'unauthorized' })}`,
 * });
 * upload(file, { endpoint: '/files', headers });
 * ```
 */
export interface HeadersRequest {
  /** `POST`, `HEAD`, `PATCH`, `DELETE` or `GET`. */
  readonly method: string;
  /** Absolute address of the request. */
  readonly url: string;
  /** `unauthorized`: the headers given before were answered 401. */
  readonly reason: 'request' | 'unauthorized';
  /** With `unauthorized`, the headers that were given for the request that was answered so. */
  readonly refused?: UploadHeaders;
}

/** Header names and their values. */
export type UploadHeaders = Readonly<Record<string, string>>;

/**
 * How long the client waits before it gives a connection up and opens another. Milliseconds.
 *
 * @example
 * ```ts
 * import { upload } from 'landfall';
 *
 * upload(file, { endpoint: '/files', timeouts: { stallMs: 10_000 } });
 * ```
 */
export interface Timeouts {
  /** For a connection, and for the answer to a request without a body. @default 30_000 */
  readonly connectMs: number;
  /** Without one byte moving while a body is sent. @default 30_000 */
  readonly stallMs: number;
  /** For the answer after the last byte of a body, which the server may hold while it inspects. @default 120_000 */
  readonly answerMs: number;
}

/**
 * How one file is sent. Only `endpoint` is required.
 *
 * @example
 * ```ts
 * import { upload, type UploadOptions } from 'landfall';
 *
 * const options: UploadOptions = { endpoint: '/files', metadata: { project: '42' }, budgetMs: 5 * 60_000 };
 * upload(file, options);
 * ```
 */
export interface UploadOptions {
  /** Where uploads are created, `https://host/files`. In a browser it may be relative to the page. */
  endpoint: string | URL;
  /** Name of the file. @default the name of the source */
  name?: string;
  /** Media type to claim. The server looks at the content for itself. @default the type of the source */
  type?: string;
  /** Where the file stands in a folder, `/` between: kept in the record. @default `webkitRelativePath` in a browser, none in Node */
  relativePath?: string;
  /** More pairs of `Upload-Metadata`: at most 16 with those of the client, 4 KiB in all. @default {} */
  metadata?: Readonly<Record<string, string>>;
  /**
   * Sent with every request. A function is asked before each; after a 401 it is asked once more with
   * `reason: 'unauthorized'`, and only a second 401 in a row ends the upload. @default {}
   */
  headers?: UploadHeaders | ((request: HeadersRequest) => UploadHeaders | Promise<UploadHeaders>);
  /** Cancels the upload when it is aborted. What the server has of it expires by itself. @default none */
  signal?: AbortSignal;
  /** Go on where an earlier visit or process stopped, and leave a record for a later one. @default true */
  resume?: boolean;
  /** Where records are kept. @default `localStorage` in browsers, files in the state directory of the user in Node */
  store?: ResumeStore;
  /** Bytes of one PATCH, or `adaptive`: 1 to 32 MiB, by the speed and health of the connection. @default 'adaptive' */
  chunkSize?: number | 'adaptive';
  /** Milliseconds without confirmed progress after which the upload fails. Offline time does not count. @default 600_000 in browsers, 1_800_000 in Node */
  budgetMs?: number;
  /** How long a connection may be silent. @default { connectMs: 30_000, stallMs: 30_000, answerMs: 120_000 } */
  timeouts?: Partial<Timeouts>;
  /** `direct`: past the server to S3, by addresses that the server signs, where it can; else through the server. @default 'server' */
  via?: 'server' | 'direct';
  /**
   * Compute a CRC-32 while the file is read and let the server compare: of the whole file, whose mismatch is a refusal, and of
   * each chunk, which is sent again when it was damaged on the way: where the server offers that, and not for a while after a
   * connection broke or was slow. Node sends a file in one body, which has only the former, unless `chunkSize` is a number. @default true
   */
  checksum?: boolean;
  /**
   * Read the whole file again before its last bytes are sent, and fail as changed where it is no longer what was sent.
   * Of a file that is not read again, head, middle and tail are compared. `true` needs the checksum, whatever `checksum` says.
   * @default true up to 256 MiB, false above
   */
  verifySource?: boolean;
  /** Browsers only: send cookies to another origin. @default false */
  withCredentials?: boolean;
  /** Browsers only: keep the screen from sleeping while bytes move. @default true */
  keepAwake?: boolean;
  /** Browsers only: ask before the page is left while bytes move. @default true */
  confirmLeaving?: boolean;
}

/**
 * How the files of a queue are sent.
 *
 * @example
 * ```ts
 * import { createQueue, type QueueOptions } from 'landfall';
 *
 * const options: QueueOptions = { endpoint: '/files', concurrency: 2 };
 * const queue = createQueue(options);
 * ```
 */
export interface QueueOptions extends UploadOptions {
  /** How many files are sent at once, 1 at least. @default 3 */
  concurrency?: number;
}
