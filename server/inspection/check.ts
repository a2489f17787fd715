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
  /** Whose upload it is; empty where senders are not told apart. */
  readonly owner: string;
  /** As the sender gave it, nothing in it verified. */
  readonly metadata: Readonly<Record<string, string>>;
  /** All that is known of the upload. */
  readonly record: ApplicationRecord;
  /** As the sender gave it, or null. */
  readonly originalName: string | null;
  /** The name it will be stored under; the extension is the one that decides. Null: made from id and type later. */
  readonly safeName: string | null;
  /** The media type the sender claims, or null. Never trusted. */
  readonly claimedType: string | null;
  /** Bytes. */
  readonly length: number;
  /** The first bytes: min(length, HEAD_BYTES). */
  readonly head: Uint8Array;
  /** What this sender may upload. */
  readonly policy: Policy;
  /** Aborted when the check was silent for too long or the lease is lost. Then `read` and `stream` throw, too. */
  readonly signal: AbortSignal;
  /** Bytes [start, end); shorter only where the file ends. Counts as progress. */
  read(start: number, end: number): Promise<Uint8Array>;
  /** The whole content, in order, in constant memory. Each chunk counts as progress. */
  stream(): AsyncIterable<Uint8Array>;
  /**
   * Tells that the check is getting on. A check may take as long as the file is large, but not be silent for longer than
   * `LANDFALL_CHECK_TIMEOUT`: one that works on without reading, or waits for a scanner of its own, calls this meanwhile.
   */
  progress(): void;
  /**
   * What earlier checks found; the signature check sets the media type, and the extension that goes with it (no dot), the scan for
   * malware what it found.
   */
  readonly found: { type: string | null; extension: string | null; scan: ScanReport | null };
}

/**
 * A rejection, a result, or both. `result` is JSON of at most 8 KiB: it becomes part of the verdict, and the sender is told it with
 * the verdict, as often as it asks. Where several checks attach one, the last counts.
 */
export type CheckOutcome = (Rejection & { result?: Json }) | { code?: undefined; result: Json };

/**
 * One file, one function. A rejection refuses the file; undefined, or a result alone, lets it pass. What it throws is a fault of
 * ours and is tried again; a `CheckCrash` counts against the file, and five of them refuse it; `CheckLater` is no fault. A result
 * that is too large or is not JSON, and a code that does not exist, are faults too.
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
   * Looks at one file.
   *
   * @returns why the file is refused, or a result for its sender; undefined lets it pass
   * @throws CheckCrash when the file itself broke the check
   * @throws CheckLater when it cannot be told yet; anything else for a fault that has nothing to do with the file
   */
  run(upload: Inspectable): Promise<CheckOutcome | undefined>;
}

const MAX_LATER_MS = 86_400_000;

/**
 * It cannot be told yet: the whole inspection is made again after a time, or sooner where the server is restarted. Nothing is counted.
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

  /** @param delayMs milliseconds; up to a day counts: nobody waits for longer without asking */
  constructor(delayMs: number) {
    super(`It is to be asked again in ${delayMs} ms.`);
    this.delayMs = Math.round(Math.min(Math.max(delayMs, 0), MAX_LATER_MS));
  }
}

/**
 * The file broke the check: it crashed a scanner, or kept it busy without progress. Five of these refuse the file with
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
