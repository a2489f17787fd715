import type { Rejection } from '../../shared/errors.ts';
import { HEAD_BYTES } from '../../shared/formats.ts';
import type { Policy } from '../../shared/policy.ts';
import type { ApplicationRecord } from '../../shared/upload.ts';
import type { UploadIn } from '../ledger/upload.ts';
import { advance, completeChecksum, NO_CHECKSUM } from '../staging/running-checksum.ts';
import { StagedBytesLost, type StagedReader, type Staging } from '../staging/staging.ts';
import { StagedBytesGone } from '../storage/storage.ts';
import { type Check, CheckCrash, type Inspectable } from './check.ts';
import { readOutcome } from './outcome.ts';
import { type Step, StepWatch } from './step-watch.ts';

export interface InspectionOptions {
  upload: UploadIn<'inspecting'>;
  /** The upload as the application sees it. Called when a check reads it. */
  describe(): ApplicationRecord;
  /** The first bytes, if they are in memory. */
  head: Uint8Array | undefined;
  staging: Staging;
  checks: readonly Check[];
  policy: Policy;
  /** How long a step may make no progress: a check, reading back, hashing. */
  checkTimeoutMs: number;
  /** Aborted when the outcome can no longer be written: then every step ends. */
  lost: AbortSignal;
  /** Hashes the whole content, if a hash is required. */
  digest: ((content: AsyncIterable<Uint8Array>) => Promise<string>) | undefined;
}

export interface Inspection {
  rejection?: Rejection;
  found: Inspectable['found'];
  /** The result that checks attached, as JSON; null without one. */
  result: string | null;
  /** CRC-32 of the whole file; null if this server has not read it. */
  checksum: number | null;
  /** SHA-256 of the whole file in hex, if it is required. */
  sha256: string | null;
}

/**
 * Runs the checks in order until one refuses. Resolves to their outcome; a check without progress for too long counts as crashed.
 * @throws CheckCrash, the reason of `lost`, or a fault of the server
 */
export async function inspect(options: InspectionOptions): Promise<Inspection> {
  const { upload, checks, policy, checkTimeoutMs, lost } = options;
  const staged = new StagedBytes(upload, options.staging, lost);
  const watch = new StepWatch(checkTimeoutMs, lost);
  // When reading or hashing stalls, the file is not at fault: both are the same for every file.
  const stalled = () => new Error(`Reading the staged bytes made no progress for ${checkTimeoutMs} ms.`);
  try {
    const isDamaged = () => watch.run(stalled, (step) => returnsOtherBytes(upload, options.staging, step));
    if (options.staging.isReadBack && (await isDamaged())) {
      const { checksum } = upload;
      const found = { type: null, extension: null, scan: null };
      return { rejection: { code: 'ERR_FILE_DAMAGED' }, found, result: null, checksum, sha256: null };
    }
    const head =
      (isReceivedHere(upload) ? options.head : undefined) ??
      (await watch.run(stalled, async (step) => (await staged.reader(step)).read(0, HEAD_BYTES)));
    const checksum = await checksumOf(upload, (read) => watch.run(stalled, async (step) => read(await staged.reader(step))));
    const found: Inspectable['found'] = { type: null, extension: null, scan: null };
    const described = new Described(options.describe);
    let result: string | null = null;
    if (upload.expectedChecksum !== null && upload.expectedChecksum !== checksum) {
      return { rejection: { code: 'ERR_FILE_DAMAGED' }, found, result, checksum, sha256: null };
    }
    for (const check of checks) {
      const silenceError = () => new CheckCrash(`The check "${check.name}" made no progress for ${checkTimeoutMs} ms.`);
      const outcome = await watch.run(silenceError, (step) =>
        check.run(new InspectedUpload(upload, described, { head, policy, found, staged, step })),
      );
      const { rejection, result: attached } = readOutcome(check.name, outcome);
      result = attached ?? result;
      if (rejection) return { rejection, found, result, checksum, sha256: null };
    }
    const { digest } = options;
    const sha256 = digest ? await watch.run(stalled, (step) => digest(staged.stream(step))) : null;
    return { found, result, checksum, sha256 };
  } finally {
    watch.end();
    await staged.close();
  }
}

/** The record for the checks, made when a check first reads it. */
class Described {
  readonly #describe: () => ApplicationRecord;
  #record: ApplicationRecord | undefined;

  constructor(describe: () => ApplicationRecord) {
    this.#describe = describe;
  }

  get record(): ApplicationRecord {
    this.#record ??= this.#describe();
    return this.#record;
  }
}

/** The upload in one step. An object with accessors of its own would take a microsecond to make, five times as long. */
class InspectedUpload implements Inspectable {
  readonly id: string;
  readonly owner: string;
  readonly originalName: string | null;
  readonly safeName: string | null;
  readonly claimedType: string | null;
  readonly length: number;
  readonly head: Uint8Array;
  readonly policy: Policy;
  readonly found: Inspectable['found'];
  readonly read: Inspectable['read'];
  readonly stream: Inspectable['stream'];
  readonly progress: Inspectable['progress'];
  readonly #described: Described;
  readonly #step: Step;

  constructor(
    upload: UploadIn<'inspecting'>,
    described: Described,
    { head, policy, found, staged, step }: Pick<Inspectable, 'head' | 'policy' | 'found'> & { staged: StagedBytes; step: Step },
  ) {
    this.id = upload.id;
    this.owner = upload.owner;
    this.originalName = upload.originalName;
    this.safeName = upload.name;
    this.claimedType = upload.claimedType;
    this.length = upload.length;
    this.head = head;
    this.policy = policy;
    this.found = found;
    this.read = async (start, end) => (await staged.reader(step)).read(start, end);
    this.stream = () => staged.stream(step);
    this.progress = step.progress;
    this.#described = described;
    this.#step = step;
  }

  get signal(): AbortSignal {
    return this.#step.signal;
  }

  get metadata(): Inspectable['metadata'] {
    return this.record.metadata;
  }

  get record(): ApplicationRecord {
    return this.#described.record;
  }
}

/**
 * Resolves to true when a store that is not Landfall's own returns other bytes than were received, or none. The upload's running checksum
 * was complete when the inspection began.
 */
async function returnsOtherBytes(
  { id, length, checksum, checksumOffset }: UploadIn<'inspecting'>,
  staging: Staging,
  { signal, progress }: Step,
) {
  try {
    const reader = await staging.open(id, signal);
    try {
      if (reader.size !== length || checksumOffset !== length) return true;
      const running = { checksum: 0, offset: 0 };
      for await (const chunk of reader.stream()) {
        signal.throwIfAborted();
        progress();
        advance(running, [chunk]);
      }
      return running.offset !== length || running.checksum !== checksum;
    } finally {
      await reader.close();
    }
  } catch (error) {
    if (error instanceof StagedBytesLost) return true;
    throw error;
  }
}

/** A direct upload is read back completely only if its sender gave a checksum to compare with. */
async function checksumOf(
  upload: UploadIn<'inspecting'>,
  watched: <T>(read: (reader: StagedReader) => Promise<T>) => Promise<T>,
): Promise<number | null> {
  if (isReceivedHere(upload) && upload.checksumOffset === upload.length) return upload.checksum;
  if (!isReceivedHere(upload) && upload.expectedChecksum === null) return null;
  const known = isReceivedHere(upload) ? upload : { checksum: 0, checksumOffset: NO_CHECKSUM };
  return (await watched((reader) => completeChecksum(known, reader))).checksum;
}

/** Direct uploads may have replaced bytes that came through this server: then only the stored bytes count. */
function isReceivedHere({ checksumOffset, directDueAt }: UploadIn<'inspecting'>): boolean {
  return checksumOffset !== NO_CHECKSUM && directDueAt === null;
}

/** Opens the staged bytes when a check first reads more than the head, which most checks never do. */
class StagedBytes {
  readonly #upload: UploadIn<'inspecting'>;
  readonly #staging: Staging;
  readonly #lost: AbortSignal;
  #opened: Promise<StagedReader> | undefined;
  #isClosed = false;

  constructor(upload: UploadIn<'inspecting'>, staging: Staging, lost: AbortSignal) {
    this.#upload = upload;
    this.#staging = staging;
    this.#lost = lost;
  }

  /** A reader for one step: each read counts as progress, and none succeeds after the step. */
  async reader({ signal, progress }: Step): Promise<StagedReader> {
    const requireRunning = () => {
      // A check may still read after its time limit. Nothing would close a reader that is opened then.
      if (this.#isClosed || signal.aborted) throw new Error('The inspection is over.', { cause: signal.reason });
    };
    requireRunning();
    this.#opened ??= this.#open();
    const reader = await this.#opened;
    return {
      size: reader.size,
      close: () => reader.close(),
      async read(start, end) {
        requireRunning();
        const bytes = await reader.read(start, end);
        requireRunning();
        progress();
        return bytes;
      },
      async *stream(start) {
        requireRunning();
        for await (const chunk of reader.stream(start)) {
          requireRunning();
          progress();
          yield chunk;
        }
      },
    };
  }

  async *stream(step: Step): AsyncIterable<Uint8Array> {
    yield* (await this.reader(step)).stream();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const reader = await this.#opened?.catch(() => undefined);
    await reader?.close();
  }

  async #open(): Promise<StagedReader> {
    const reader = await this.#staging.open(this.#upload.id, this.#lost).catch((cause: unknown) => {
      throw new StagedBytesGone('The staged bytes cannot be opened.', { cause });
    });
    if (reader.size === this.#upload.length) return reader;
    await reader.close();
    throw new Error(`${reader.size} bytes are staged instead of ${this.#upload.length}.`);
  }
}
