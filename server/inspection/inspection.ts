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
  /** As the application sees it: made when a check asks. */
  describe(): ApplicationRecord;
  /** The first bytes, where they are at hand. */
  head: Uint8Array | undefined;
  staging: Staging;
  checks: readonly Check[];
  policy: Policy;
  /** So long a step may tell of no progress: a check, reading back, hashing. */
  checkTimeoutMs: number;
  /** Aborted when the outcome can't be written any more: then every step ends. */
  lost: AbortSignal;
  /** Hashes the whole content, where that is asked for. */
  digest: ((content: AsyncIterable<Uint8Array>) => Promise<string>) | undefined;
}

export interface Inspection {
  rejection?: Rejection;
  found: Inspectable['found'];
  /** What checks attached, as JSON; null where none did. */
  result: string | null;
  /** CRC-32 of the whole file; null where nobody here has read it. */
  checksum: number | null;
  /** SHA-256 of the whole file in hex, where it is asked for. */
  sha256: string | null;
}

/**
 * Runs the checks in order until one refuses. Resolves with what they say; a check that is silent for too long counts as crashed.
 * @throws CheckCrash, the reason of `lost`, or a fault of ours
 */
export async function inspect(options: InspectionOptions): Promise<Inspection> {
  const { upload, checks, policy, checkTimeoutMs, lost } = options;
  const staged = new StagedBytes(upload, options.staging, lost);
  const watch = new StepWatch(checkTimeoutMs, lost);
  // Not the file's doing: reading and hashing are the same for every file.
  const stalled = () => new Error(`Reading what is staged stood still for ${checkTimeoutMs} ms.`);
  try {
    const isDamaged = () => watch.run(stalled, (step) => isOtherwise(upload, options.staging, step));
    if (options.staging.isReadBack && (await isDamaged())) {
      const { checksum } = upload;
      const found = { type: null, extension: null, scan: null };
      return { rejection: { code: 'ERR_FILE_DAMAGED' }, found, result: null, checksum, sha256: null };
    }
    const head =
      (isSeenHere(upload) ? options.head : undefined) ??
      (await watch.run(stalled, async (step) => (await staged.reader(step)).read(0, HEAD_BYTES)));
    const checksum = await checksumOf(upload, (read) => watch.run(stalled, async (step) => read(await staged.reader(step))));
    const found: Inspectable['found'] = { type: null, extension: null, scan: null };
    let described: ApplicationRecord | undefined;
    const describe = () => {
      described ??= options.describe();
      return described;
    };
    let result: string | null = null;
    if (upload.expectedChecksum !== null && upload.expectedChecksum !== checksum) {
      return { rejection: { code: 'ERR_FILE_DAMAGED' }, found, result, checksum, sha256: null };
    }
    for (const check of checks) {
      const silent = () => new CheckCrash(`The check "${check.name}" told of no progress for ${checkTimeoutMs} ms.`);
      const outcome = await watch.run(silent, (step) =>
        check.run({
          id: upload.id,
          owner: upload.owner,
          get metadata() {
            return describe().metadata;
          },
          get record() {
            return describe();
          },
          originalName: upload.originalName,
          safeName: upload.name,
          claimedType: upload.claimedType,
          length: upload.length,
          head,
          policy,
          signal: step.signal,
          found,
          read: async (start, end) => (await staged.reader(step)).read(start, end),
          stream: () => staged.stream(step),
          progress: step.progress,
        }),
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

/**
 * Whether a store that is not Landfall's own hands back something else than came, or nothing. Its running checksum was complete when
 * the inspection began.
 */
async function isOtherwise({ id, length, checksum, checksumOffset }: UploadIn<'inspecting'>, staging: Staging, { signal, progress }: Step) {
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

/** What came past this server is read back whole only where its sender said what it must be. */
async function checksumOf(
  upload: UploadIn<'inspecting'>,
  watched: <T>(read: (reader: StagedReader) => Promise<T>) => Promise<T>,
): Promise<number | null> {
  if (isSeenHere(upload) && upload.checksumOffset === upload.length) return upload.checksum;
  if (!isSeenHere(upload) && upload.expectedChecksum === null) return null;
  const known = isSeenHere(upload) ? upload : { checksum: 0, checksumOffset: NO_CHECKSUM };
  return (await watched((reader) => completeChecksum(known, reader))).checksum;
}

/** What its sender could bring past this server may have replaced what came through it: only what is stored counts. */
function isSeenHere({ checksumOffset, directDueAt }: UploadIn<'inspecting'>): boolean {
  return checksumOffset !== NO_CHECKSUM && directDueAt === null;
}

/** Opened when a check first asks for more than the head: most never do. */
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

  /** For one step: each read tells of progress, and none is made once the step is over. */
  async reader({ signal, progress }: Step): Promise<StagedReader> {
    const requireRunning = () => {
      // A check that outlived its time limit may come back and ask: nobody would close what it opened.
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
    throw new Error(`Staged are ${reader.size} bytes of ${this.#upload.length}.`);
  }
}
