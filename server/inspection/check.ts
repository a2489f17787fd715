import type { Rejection } from '../../shared/errors.ts';
import type { Policy } from '../../shared/policy.ts';
import type { ApplicationRecord, Json, ScanReport } from '../../shared/upload.ts';

/** What a check sees of an upload whose bytes are all stored. */
export interface Inspectable {
  readonly id: string;
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
 * that is too large or no JSON, and a code that there is not, are faults, too.
 */
export interface Check {
  readonly name: string;
  run(upload: Inspectable): Promise<CheckOutcome | undefined>;
}

/** It cannot be told yet: the whole inspection is made again then, or sooner where the server is restarted. Nothing is counted. */
export class CheckLater extends Error {
  override readonly name = 'CheckLater';
  readonly delayMs: number;

  /** @param delayMs up to a day counts: nobody waits for longer without asking */
  constructor(delayMs: number) {
    super(`It is to be asked again in ${delayMs} ms.`);
    this.delayMs = Math.round(Math.min(Math.max(delayMs, 0), MAX_LATER_MS));
  }
}

const MAX_LATER_MS = 86_400_000;

/** The check told of no progress for too long or took its worker down: maybe the file's doing. */
export class CheckCrash extends Error {
  override readonly name = 'CheckCrash';
}
