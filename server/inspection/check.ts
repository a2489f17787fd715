import type { Rejection } from '../../shared/errors.ts';
import type { Policy } from '../../shared/policy.ts';

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
  /** What earlier checks found; the signature check sets both: the media type, and the extension that goes with it (no dot). */
  readonly found: { type: string | null; extension: string | null };
}

/**
 * One file, one function. A rejection refuses the file; undefined lets it pass. What it throws is a fault of
 * ours and is tried again; a `CheckCrash` counts against the file, and five of them refuse it.
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
   * @returns why the file is refused; undefined lets it pass
   * @throws CheckCrash when the file itself broke the check; anything else for a fault that has nothing to do with the file
   */
  run(upload: Inspectable): Promise<Rejection | undefined>;
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
