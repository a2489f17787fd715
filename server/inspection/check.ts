import type { Rejection } from '../../shared/errors.ts';
import type { Policy } from '../../shared/policy.ts';
import type { ApplicationRecord, Json, ScanReport } from '../../shared/upload.ts';

/**
 * What a check sees of an upload whose bytes are all stored.
 *
 * @example
 * ```ts
 * import type { Inspectable } from 'landfall-server';
 *
 * async function countZeros(upload: Inspectable): Promise<number> {
 *   let zeros = 0;
 *   for await (const chunk of upload.stream()) zeros += chunk.filter((byte) => byte === 0).length;
 *   return zeros;
 * }
 * ```
 */
export interface Inspectable {
  /** The id of the upload: 32 hex digits. */
  readonly id: string;
  /** The owner of the upload; empty when senders are not told apart. */
  readonly owner: string;
  /** As the sender gave it, unverified. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Everything known of the upload. */
  readonly record: ApplicationRecord;
  /** As the sender gave it, or null. */
  readonly originalName: string | null;
  /** The name under which it will be stored; its extension decides. Null: the name is made from id and type later. */
  readonly safeName: string | null;
  /** The media type that the sender claims, or null. Never trusted. */
  readonly claimedType: string | null;
  /** Bytes. */
  readonly length: number;
  /** The first bytes: min(length, HEAD_BYTES). */
  readonly head: Uint8Array;
  /** What this sender may upload. */
  readonly policy: Policy;
  /** Aborted when the check made no progress for too long, or the lease is lost. `read` and `stream` throw then, too. */
  readonly signal: AbortSignal;
  /** Bytes [start, end); fewer only at the end of the file. Counts as progress. */
  read(start: number, end: number): Promise<Uint8Array>;
  /** The whole content, in order, in constant memory. Each chunk counts as progress. */
  stream(): AsyncIterable<Uint8Array>;
  /**
   * Reports progress. A check may take as long as a large file needs, but it must not be without progress for longer than
   * `LANDFALL_CHECK_TIMEOUT`: a check that computes without reading, or waits for a scanner of its own, calls this meanwhile.
   */
  progress(): void;
  /**
   * What earlier checks found: the signature check sets the media type and its extension (without a dot), the scan for malware sets its
   * report.
   */
  readonly found: { type: string | null; extension: string | null; scan: ScanReport | null };
}

/**
 * A rejection, a result, or both. `result` is JSON of at most 8 KiB. It becomes part of the verdict, which the sender can read any
 * number of times. When several checks give a result, the last one counts.
 */
export type CheckOutcome = (Rejection & { result?: Json }) | { code?: undefined; result: Json };

/**
 * One check: one file, one function. A rejection refuses the file; undefined, or a result alone, lets it pass. An error that it throws is a
 * fault of the server, and the check is tried again; a `CheckCrash` counts against the file, and the fifth refuses it; `CheckLater` is
 * no fault. A result that is too large or is not JSON, and an unknown code, are faults, too.
 *
 * @example
 * ```ts
 * import { type Check, createLandfall } from 'landfall-server';
 *
 * const noDrafts: Check = {
 *   name: 'no-drafts',
 *   async run({ safeName }) {
 *     return safeName?.includes('draft') ? { code: 'ERR_CHECK_REFUSED', detail: 'Send the final version.' } : undefined;
 *   },
 * };
 * const landfall = createLandfall({ dataDir: './data' }, { checks: [noDrafts] });
 * ```
 */
export interface Check {
  /** For the log. */
  readonly name: string;
  /**
   * Checks one file.
   *
   * @returns why the file is refused, or a result for its sender; undefined lets it pass
   * @throws CheckCrash when the file itself broke the check
   * @throws CheckLater when the check cannot decide yet; any other error for a fault that is not the file's
   */
  run(upload: Inspectable): Promise<CheckOutcome | undefined>;
}

const MAX_LATER_MS = 86_400_000;

/**
 * The check cannot decide yet: the whole inspection runs again after a time, or earlier when the server restarts. Nothing is counted.
 *
 * @example
 * ```ts
 * import { type Check, CheckLater } from 'landfall-server';
 *
 * const reviewed: Check = {
 *   name: 'reviewed',
 *   async run({ id }) {
 *     const answer = await fetch(`https://reviews.example/${id}`);
 *     if (answer.status === 404) throw new CheckLater(60_000);
 *     return answer.ok ? undefined : { code: 'ERR_CHECK_REFUSED', detail: 'The review refused it.' };
 *   },
 * };
 * ```
 */
export class CheckLater extends Error {
  override readonly name = 'CheckLater';
  /** Milliseconds until the inspection is made again: 0 to a day. */
  readonly delayMs: number;

  /**
   * @param delayMs milliseconds, at most a day: no one waits longer without asking
   * @throws RangeError for NaN
   */
  constructor(delayMs: number) {
    if (Number.isNaN(delayMs)) throw new RangeError('CheckLater needs a number of milliseconds.');
    super(`The check cannot decide yet: it runs again in ${delayMs} ms.`);
    this.delayMs = Math.round(Math.min(Math.max(delayMs, 0), MAX_LATER_MS));
  }
}

/**
 * The file broke the check: it crashed a scanner, or kept it busy without progress. The fifth crash refuses the file with
 * `ERR_UNINSPECTABLE`, so that one file cannot keep a server busy for ever.
 *
 * @example
 * ```ts
 * import { type Check, CheckCrash } from 'landfall-server';
 *
 * const readable: Check = {
 *   name: 'readable',
 *   async run(upload) {
 *     const head = await upload.read(0, 1024).catch((cause) => {
 *       throw new CheckCrash('The head cannot be read.', { cause });
 *     });
 *     return head.length > 0 ? undefined : { code: 'ERR_CHECK_REFUSED', detail: 'There is nothing in it.' };
 *   },
 * };
 * ```
 */
export class CheckCrash extends Error {
  override readonly name = 'CheckCrash';
}
