// The types that an application sees: the handle of an upload and its snapshot. No code.
import type { UploadError } from '../../shared/errors.ts';

/**
 * The state of an upload in the client. The last four are final.
 * - `queued`: waits for its turn in a queue
 * - `preparing`: the client reads the file, requests the server's offset, or creates the upload
 * - `uploading`: the client sends bytes, or all bytes have left this device and the server does not have them all yet
 * - `waiting`: a problem interrupts the upload, which resumes by itself; `waiting` says why
 * - `paused`: until `resume()`
 * - `inspecting`: the server has every byte and no verdict yet
 * - `accepted`: the file is in final storage
 * - `rejected`: the server refused the file; `error` says why
 * - `failed`: the upload ended without a verdict; `error` says why. Uploading the same file again resumes it if possible
 * - `cancelled`: by `cancel()` or the `signal`, or because another tab or process deleted the upload while this one waited for it
 */
export type UploadState =
  | 'queued'
  | 'preparing'
  | 'uploading'
  | 'waiting'
  | 'paused'
  | 'inspecting'
  | 'accepted'
  | 'rejected'
  | 'failed'
  | 'cancelled';

/**
 * Why an upload waits.
 * - `offline`: this device has no network. This time does not count against the budget
 * - `unreachable`: no connection to the server could be established
 * - `interrupted`: the connection broke
 * - `stalled`: the connection transferred nothing for too long
 * - `busy`: the server asked the client to retry later
 * - `no-space`: the server has no space for the file right now
 * - `too-many`: this sender already has as many uploads in progress as the server allows. The wait does not count against the budget
 * - `elsewhere`: another tab or process sends the same file. `sent`, `confirmed` and the speed are those of the other tab, or of the
 *   other handle in this process. If the other one stops or fails, this one resumes. If the server has a verdict, or the other one
 *   deleted the upload, this one ends in the same state
 * - `restarted`: the server no longer has the upload, so the client sends the file again from the first byte
 */
export type WaitingReason =
  | 'offline'
  | 'unreachable'
  | 'interrupted'
  | 'stalled'
  | 'busy'
  | 'no-space'
  | 'too-many'
  | 'elsewhere'
  | 'restarted';

/**
 * Why an upload waits, and until when.
 *
 * @example
 * ```ts
 * import type { Waiting } from 'landfall';
 *
 * const secondsLeft = ({ until }: Waiting) => (until === undefined ? null : (until - Date.now()) / 1000);
 * ```
 */
export interface Waiting {
  /** Why it waits. */
  readonly reason: WaitingReason;
  /** Time of the next attempt, in milliseconds since 1970; absent when the attempt waits for an event instead. */
  readonly until?: number;
}

/** The state of an upload, with the fields that it has in that state. */
export type StateDetails =
  | {
      readonly state: 'queued' | 'preparing' | 'uploading' | 'paused' | 'inspecting';
      /** Address of the upload, once the server has created it. */
      readonly url?: string;
      readonly waiting?: undefined;
      readonly error?: undefined;
    }
  | {
      readonly state: 'waiting';
      readonly waiting: Waiting;
      /** The last failure, if there was one. */
      readonly error?: UploadError;
      readonly url?: string;
    }
  | {
      readonly state: 'accepted';
      /** Absolute address of the accepted file; null when this sender may not download it. */
      readonly url: string | null;
      /** As in `UploadResult`. */
      readonly result?: unknown;
      readonly waiting?: undefined;
      readonly error?: undefined;
    }
  | {
      readonly state: 'rejected' | 'failed' | 'cancelled';
      /** Why the upload ended. */
      readonly error: UploadError;
      readonly url?: string;
      readonly waiting?: undefined;
    };

/**
 * Frozen, and the same object until something changes, so it suits `useSyncExternalStore`. Its fields depend on `state`: `waiting` is
 * present in `waiting`, and `error` in every final state but `accepted`.
 */
export type UploadSnapshot = SnapshotOfAnyState & StateDetails;

/** The fields of a snapshot in every state. */
export interface SnapshotOfAnyState {
  /** Id of the handle, unique in this page or process. Not the server's id of the upload. */
  readonly id: string;
  /** Name of the file on the sender's side. */
  readonly name: string;
  /** Bytes that left this device, including those that were confirmed earlier. Returns to `confirmed` when a connection breaks. */
  readonly sent: number;
  /** Bytes that the server acknowledged. The server acknowledges the last byte only with the verdict. */
  readonly confirmed: number;
  /** Bytes of the file; null while a stream of unknown length is being read. */
  readonly size: number | null;
  /** Exponential mean with a half-life of 2 s; 0 when no bytes are sent. */
  readonly bytesPerSecond: number;
  /** Seconds until the last byte is sent at this speed; null when unknown, as before the speed has settled. */
  readonly etaSeconds: number | null;
  /** Offset from which this handle resumed; 0 for a new upload. */
  readonly resumedFrom: number;
  /** 0 before the first request, 1 in the first attempt. Has no limit: time without progress ends an upload, not a number of attempts. */
  readonly attempt: number;
}

/**
 * The value of `done`: the server accepted the file.
 *
 * @example
 * ```ts
 * import { upload, type UploadResult } from 'landfall';
 *
 * const { url, name, checksum }: UploadResult = await upload(file, { endpoint: '/files' }).done;
 * ```
 */
export interface UploadResult {
  /** The server's id of the upload. */
  readonly id: string;
  /**
   * Absolute address of the accepted file; null when the sender may not download it. When the sender showed a token, the address is
   * signed: anyone who has it can download the file until it expires.
   */
  readonly url: string | null;
  /** The safe name under which the server stored the file; the sender's name when the server does not report one. */
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Detected media type; null when the server does not report one. */
  readonly type: string | null;
  /** `crc32:` and 8 hex digits, of the whole file; null when neither side computed it. */
  readonly checksum: string | null;
  /** Some bytes were sent by an earlier visit or process. */
  readonly resumed: boolean;
  /**
   * JSON that a check of the server's application attached to the verdict; absent when there is none. For a refused file see
   * `UploadError.result`.
   */
  readonly result?: unknown;
}

/**
 * How an upload is cancelled.
 *
 * @example
 * ```ts
 * import { upload } from 'landfall';
 *
 * const handle = upload(file, { endpoint: '/files' });
 * await handle.cancel({ deleteRemote: true });
 * ```
 */
export interface CancelOptions {
  /** Also delete the upload on the server, where it otherwise expires. @default false */
  deleteRemote?: boolean;
}

/**
 * Watches and controls one upload. It has no `then` on purpose: an async function that returned it would wait for the whole upload.
 *
 * @example
 * ```ts
 * import { upload } from 'landfall';
 *
 * const handle = upload(file, { endpoint: '/files' });
 * for await (const { state, sent, size, waiting } of handle) console.log(state, sent, size, waiting?.reason);
 * console.log((await handle.done).url);
 * ```
 */
export interface UploadHandle extends AsyncIterable<UploadSnapshot> {
  /** The state of the upload, now. */
  readonly snapshot: UploadSnapshot;
  /**
   * Resolves when the server accepted the file, and rejects with an `UploadError` in every other final state. Never causes an
   * unhandled rejection.
   */
  readonly done: Promise<UploadResult>;
  /**
   * Calls the listener now, after each change of state, and for progress at most ten times a second. Returns a function that unsubscribes.
   */
  subscribe(listener: (snapshot: UploadSnapshot) => void): () => void;
  /** Stops sending until `resume()`. Does nothing when the upload is paused or has ended. */
  pause(): void;
  /** Resumes a paused upload. A waiting upload retries now. Does nothing in other states. */
  resume(): void;
  /**
   * Ends the upload and removes its resume record, also that of an earlier visit. While another tab or process sends the file, the record
   * and the upload on the server are left to the other one. Does nothing when the upload has ended.
   *
   * @throws UploadError when `deleteRemote` was set and the server did not delete the upload
   */
  cancel(options?: CancelOptions): Promise<void>;
}
