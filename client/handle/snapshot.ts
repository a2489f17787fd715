// What an application sees of an upload: the types of the handle and of what it shows. No code.
import type { UploadError } from '../../shared/errors.ts';

/**
 * Where an upload stands on this side. The last four are final.
 * - `queued`: waits for its turn in a queue
 * - `preparing`: looks at the file, asks the server where to go on, or creates the upload
 * - `uploading`: bytes are on their way, be it that all of them have left this device
 * - `waiting`: something is in the way; goes on by itself, see `waiting`
 * - `paused`: stands until `resume()`
 * - `inspecting`: every byte is on the server; the verdict is out
 * - `accepted`: in final storage
 * - `rejected`: the server refused the file; `error` says why
 * - `failed`: given up without a verdict; `error` says why. The same file uploaded again goes on where that is possible
 * - `cancelled`: by `cancel()` or the `signal`
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
 * - `offline`: this device has no network; that time does not count against the budget
 * - `unreachable`: the server's host does not answer at all
 * - `interrupted`: the connection broke
 * - `stalled`: the connection stopped moving
 * - `busy`: the server asked to come later
 * - `no-space`: the server has no room right now
 * - `too-many`: this sender has as many uploads under way as it may; the wait does not count against the budget
 * - `elsewhere`: another tab or process is sending this very file; of a tab (or handle of this process) `sent`, `confirmed` and the
 *   speed are shown. When it stops this one goes on, when it ends this one ends the same
 * - `restarted`: the server no longer knows the upload; it starts again from the first byte
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
 * What an upload waits for.
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
  /** When the next try comes, in milliseconds since 1970; absent where it depends on something else. */
  readonly until?: number;
}

/** Where an upload stands, with what it has in that state. */
export type Standing =
  | {
      readonly state: 'queued' | 'preparing' | 'uploading' | 'paused' | 'inspecting';
      /** Address of the upload, once the server gave it one. */
      readonly url?: string;
      readonly waiting?: undefined;
      readonly error?: undefined;
    }
  | {
      readonly state: 'waiting';
      readonly waiting: Waiting;
      /** The last failure, where there was one. */
      readonly error?: UploadError;
      readonly url?: string;
    }
  | {
      readonly state: 'accepted';
      /** Absolute address of the accepted file; null where this sender may not download it. */
      readonly url: string | null;
      /** As of `UploadResult`. */
      readonly result?: unknown;
      readonly waiting?: undefined;
      readonly error?: undefined;
    }
  | {
      readonly state: 'rejected' | 'failed' | 'cancelled';
      /** The reason. */
      readonly error: UploadError;
      readonly url?: string;
      readonly waiting?: undefined;
    };

/**
 * Frozen. The same object as long as nothing changed, so it suits `useSyncExternalStore` and its like.
 * The `state` tells what it has: `waiting` in `waiting`, `error` in every end but `accepted`.
 */
export type UploadSnapshot = SnapshotOfAnyState & Standing;

/** What a snapshot has in every state. */
export interface SnapshotOfAnyState {
  /** Of the handle: unique in this page or process, not the server's id. */
  readonly id: string;
  /** Name of the file, as the sender has it. */
  readonly name: string;
  /** Bytes that left this device, those confirmed before included; falls back to `confirmed` when a connection breaks. */
  readonly sent: number;
  /** Bytes the server acknowledged. The last one stays open until the verdict. */
  readonly confirmed: number;
  /** Bytes of the file; null while a stream of unknown length is being read. */
  readonly size: number | null;
  /** Mean with a half-life of 2 s; 0 when nothing moves. */
  readonly bytesPerSecond: number;
  /** Seconds until the last byte is sent at this speed; null where that can't be told, as before the speed has settled. */
  readonly etaSeconds: number | null;
  /** Offset this handle went on from; 0 for a new upload. */
  readonly resumedFrom: number;
  /** 0 before the first request, 1 in the first attempt. Grows without end: it is time that counts, not attempts. */
  readonly attempt: number;
}

/**
 * What `done` resolves with: the server accepted the file.
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
   * Absolute address of the accepted file: one that whoever has it may use, where the sender was known by a token, until it ends.
   * Null where the sender may not download it.
   */
  readonly url: string | null;
  /** The safe name it is stored under; the sender's name where the server does not tell. */
  readonly name: string;
  /** Bytes of the file. */
  readonly size: number;
  /** Detected media type; null where the server does not tell. */
  readonly type: string | null;
  /** `crc32:` and 8 hex digits over the whole file; null where neither side computed it. */
  readonly checksum: string | null;
  /** Bytes of an earlier visit were used. */
  readonly resumed: boolean;
  /**
   * What the application behind the server attached to the verdict: JSON; absent where it attached nothing, or the server does not
   * tell. Of a refused file it is the error's `result`.
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
  /** Also delete what the server has of it; otherwise that expires by itself. @default false */
  deleteRemote?: boolean;
}

/**
 * One file on its way. It is not thenable on purpose: an async function that returns it would wait for the whole upload.
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
  /** Where the upload stands now. */
  readonly snapshot: UploadSnapshot;
  /**
   * Settles once: resolves when the server says accepted, rejects with an `UploadError` in every other end.
   * Never an unhandled rejection: who does not look at it need not catch it.
   */
  readonly done: Promise<UploadResult>;
  /** Calls the listener at once, then after each change: states at once, progress at most ten times a second. Returns how to stop it. */
  subscribe(listener: (snapshot: UploadSnapshot) => void): () => void;
  /** Stops after what is on its way; nothing when paused or over. */
  pause(): void;
  /** Goes on after `pause()`, and in `waiting` tries at once; otherwise nothing. An upload that is over stays over. */
  resume(): void;
  /**
   * Ends it and forgets it on this side. Nothing when it is over.
   *
   * @throws UploadError when `deleteRemote` was asked and the server could not be made to delete it
   */
  cancel(options?: CancelOptions): Promise<void>;
}
