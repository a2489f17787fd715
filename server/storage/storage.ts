import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { UploadId } from '../ledger/upload-id.ts';

/** Where a final file is to lie: `<directory>/<name>`, relative to the storage's root. The directory is this upload's alone. */
export interface Target {
  id: UploadId;
  directory: string;
  name: string;
  /** The media type that was found. */
  type: string;
  /** The inspection's attempt, which names whatever it leaves unfinished. */
  attempt: number;
  /** CRC-32 of the inspected bytes, where they are kept by code that is not Landfall's. */
  checksum?: number;
}

/** Raised by `publish` when the staged bytes are gone: another holder of the lease has published, or refused. */
export class StagedBytesGone extends Error {
  override readonly name = 'StagedBytesGone';
}

/** The final place. A name under it appears only complete and inspected. */
export interface Storage {
  /**
   * Makes the staged bytes, already durable, appear under the target, durable when it resolves. Again for the same upload
   * is fine; another upload's target is never touched. The staged bytes stay. Resolves with the directory the file lies in:
   * the target's, or one below it that is the attempt's alone, where a name can't be given to one of two.
   * @param signal aborted when the lease is lost: it settles soon after, and from then on writes nothing more
   * @throws StagedBytesGone; the signal's reason; anything else is a fault of ours. Each leaves nothing that a later attempt does not clear
   */
  publish(target: Target, signal?: AbortSignal): Promise<string>;
  /** Takes back what this attempt published, where that is its alone: another has won. */
  retract(target: Pick<Target, 'directory' | 'attempt'>): Promise<void>;
  /** Takes back what other attempts published than the one that `publish` gave this directory. */
  keepOnly(directory: string): Promise<void>;
  /** Clears what crashed attempts left half made, but for those that `isRunning` knows, until it is over. May run beside attempts. */
  clearUnfinished(isRunning: (id: UploadId, attempt: number) => Promise<boolean>, isOver: () => boolean): Promise<void>;
  /** Bytes of the final file; undefined when it is not there. */
  size(directory: string, name: string): Promise<number | undefined>;
  /** @throws when the file is not there */
  read(directory: string, name: string, range?: { start: number; end: number }): Readable;
  /** Answers a GET or HEAD with the file, ranges and conditions included. Type, name and policy headers are set already. */
  deliver(request: IncomingMessage, response: ServerResponse, directory: string, name: string): Promise<void>;
  /** Removes an upload's directory with all that is in it. Fine when it is gone already. */
  remove(directory: string): Promise<void>;
}
