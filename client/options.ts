import type { ResumeStore } from './resume/store.ts';

/**
 * The request that needs headers.
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
  /** `unauthorized`: the server answered 401 to the last headers. */
  readonly reason: 'request' | 'unauthorized';
  /** With `unauthorized`, the headers of the request that the server answered with 401. */
  readonly refused?: UploadHeaders;
}

/** Header names and their values: one line of Latin-1 text each. */
export type UploadHeaders = Readonly<Record<string, string>>;

/**
 * How long the client waits before it closes a connection and opens another, in milliseconds.
 *
 * @example
 * ```ts
 * import { upload } from 'landfall';
 *
 * upload(file, { endpoint: '/files', timeouts: { stallMs: 10_000 } });
 * ```
 */
export interface Timeouts {
  /** Limit for a connection, and for the response to a request without a body. @default 30_000 */
  readonly connectMs: number;
  /** Limit for a time without any byte sent, while a body is sent. @default 30_000 */
  readonly stallMs: number;
  /** Limit for the response after the last byte of a body. The server may hold the response while it inspects the file. @default 120_000 */
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
  /** Address at which uploads are created, such as `https://host/files`. In a browser it may be relative to the page. */
  endpoint: string | URL;
  /** Name of the file. @default the name of the source */
  name?: string;
  /** Claimed media type. The server inspects the content itself. @default the type of the source */
  type?: string;
  /**
   * Path of the file in its folder, with `/` between segments. The server keeps it in the upload's record.
   *
   * @default `webkitRelativePath` in a browser, none in Node
   */
  relativePath?: string;
  /**
   * Additional pairs of `Upload-Metadata`. With the client's own pairs at most 16, and 4 KiB in total. A file with other metadata is another
   * upload, so a value that is new on each visit, such as a token or a time, keeps the upload from resuming. @default {}
   */
  metadata?: Readonly<Record<string, string>>;
  /**
   * Sent with every request. A function is called before each request. After a 401 it is called once more, with
   * `reason: 'unauthorized'`, and only a second 401 in a row ends the upload. Headers of a function that no request can carry end the
   * upload with `ERR_INVALID_HEADERS`. @default {}
   */
  headers?: UploadHeaders | ((request: HeadersRequest) => UploadHeaders | Promise<UploadHeaders>);
  /** Cancels the upload when it is aborted. The unfinished upload on the server expires. @default none */
  signal?: AbortSignal;
  /** Resume where an earlier visit or process stopped, and keep a record for a later one. @default true */
  resume?: boolean;
  /**
   * Where resume records are kept. A call that is not answered within 10 s counts as failed.
   *
   * @default `localStorage` in browsers; in Node files in the user's state directory, and nowhere for a user without a home directory
   */
  store?: ResumeStore;
  /** Bytes of one PATCH, a whole number, or `adaptive`: 1 to 32 MiB, depending on the speed and stability of the connection. @default 'adaptive' */
  chunkSize?: number | 'adaptive';
  /**
   * Milliseconds without confirmed progress after which the upload fails. Time without a network does not count.
   *
   * @default 600_000 in browsers, 1_800_000 in Node
   */
  budgetMs?: number;
  /** Time limits of a connection. @default { connectMs: 30_000, stallMs: 30_000, answerMs: 120_000 } */
  timeouts?: Partial<Timeouts>;
  /**
   * `direct`: send the file directly to S3, with URLs that the server signs, if the server offers this; otherwise through the server.
   *
   * @default 'server'
   */
  via?: 'server' | 'direct';
  /**
   * Compute CRC-32 checksums for the server to verify. When the checksum of the whole file differs, the server refuses the file. When
   * that of a chunk differs, the client sends the chunk again. Chunks carry a checksum if the server supports it, except for a while
   * after a broken or slow connection. Node sends a file in one body, without chunk checksums, unless `chunkSize` is a number.
   *
   * @default true
   */
  checksum?: boolean;
  /**
   * Read the whole file again before its last bytes are sent, and fail with `ERR_SOURCE_CHANGED` if it differs from the bytes sent.
   * Otherwise only head, middle and tail are compared. `true` computes the checksum even if `checksum` is false.
   * @default true up to 256 MiB, false above
   */
  verifySource?: boolean;
  /** Browsers only: send cookies to another origin. @default false */
  withCredentials?: boolean;
  /** Browsers only: keep the screen on while the upload runs. @default true */
  keepAwake?: boolean;
  /** Browsers only: ask before the page is closed while the upload runs. @default true */
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
  /** Number of files that are sent at once, a whole number of at least 1. @default 3 */
  concurrency?: number;
}

/** The options without those that are undefined, which count as absent. */
export function definedOnly<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}
