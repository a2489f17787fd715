import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import type { UploadId } from '../ledger/upload-id.ts';

/** The target of a final file: `<directory>/<name>`, relative to the storage's root. The directory belongs to this upload alone. */
export interface Target {
  id: UploadId;
  directory: string;
  name: string;
  /** The detected media type. */
  type: string;
  /** The number of the inspection's attempt, which names the files that an unfinished attempt leaves. */
  attempt: number;
  /** CRC-32 of the inspected bytes, when code other than Landfall's keeps them. */
  checksum?: number;
}

/** Thrown by `publish` when the staged bytes are gone: another holder of the lease has published or refused the upload. */
export class StagedBytesGone extends Error {
  override readonly name = 'StagedBytesGone';
}

/** Keeps final files. A name appears only when its file is complete and inspected. */
export interface Storage {
  /**
   * Publishes the staged bytes, which are durable already, under the target; durable when it resolves. Idempotent for one upload, and it
   * never touches another upload's target. The staged bytes stay. Resolves to the directory of the file: the target's, or one below it
   * for this attempt alone, where a name cannot be given to only one of two attempts.
   * @param signal aborted when the lease is lost: the call settles soon after that, and writes nothing more
   * @throws StagedBytesGone; the signal's reason; any other error is a fault of the server. A later attempt clears what a failed one leaves
   */
  publish(target: Target, signal?: AbortSignal): Promise<string>;
  /** Removes what this attempt published in a directory of its own, when another attempt has won. */
  retract(target: Pick<Target, 'directory' | 'attempt'>): Promise<void>;
  /** Removes what other attempts published, but not the directory that `publish` returned. */
  keepOnly(directory: string): Promise<void>;
  /** Removes what crashed attempts left unfinished, except attempts that `isRunning` reports, until `isOver`. May run beside attempts. */
  clearUnfinished(isRunning: (id: UploadId, attempt: number) => Promise<boolean>, isOver: () => boolean): Promise<void>;
  /** Bytes of the final file; undefined when it is missing. */
  size(directory: string, name: string): Promise<number | undefined>;
  /** @throws when the file is missing */
  read(directory: string, name: string, range?: { start: number; end: number }): Readable;
  /** Answers a GET or HEAD with the file, ranges and conditions included. The caller has set type, name and policy headers. */
  deliver(request: IncomingMessage, response: ServerResponse, directory: string, name: string): Promise<void>;
  /** Removes an upload's directory with all its contents. Idempotent. */
  remove(directory: string): Promise<void>;
}
