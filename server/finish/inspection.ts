import type { Policy } from '../../shared/policy.ts';
import type { Upload } from '../ledger/upload.ts';
import { completeChecksum, NO_CHECKSUM } from '../staging/running-checksum.ts';
import type { StagedReader, Staging } from '../staging/staging.ts';
import { StagedBytesGone } from '../storage/storage.ts';
import { type Check, CheckCrash, HEAD_BYTES, type Inspectable, type Rejection } from './check.ts';

export interface InspectionOptions {
  upload: Upload;
  length: number;
  /** The first bytes, where they are at hand. */
  head: Uint8Array | undefined;
  staging: Staging;
  checks: readonly Check[];
  policy: Policy;
  checkTimeoutMs: number;
  /** Aborted when the outcome can't be written any more. */
  lost: AbortSignal;
  /** Hashes the whole content, where that is asked for. */
  digest: ((content: AsyncIterable<Uint8Array>) => Promise<string>) | undefined;
}

export interface Inspection {
  rejection?: Rejection;
  found: Inspectable['found'];
  /** CRC-32 of the whole file; null where nobody here has read it. */
  checksum: number | null;
  /** SHA-256 of the whole file in hex, where it is asked for. */
  sha256: string | null;
}

/**
 * Runs the checks in order until one refuses. Resolves with what they say; a check over its time counts as crashed.
 * @throws CheckCrash, or a fault of ours
 */
export async function inspect(options: InspectionOptions): Promise<Inspection> {
  const { upload, length, checks, policy, checkTimeoutMs, lost } = options;
  const staged = new StagedBytes(upload, length, options.staging);
  try {
    const head = (isSeenHere(upload) ? options.head : undefined) ?? (await staged.read(0, HEAD_BYTES));
    const checksum = await checksumOf(upload, length, staged);
    const found: Inspectable['found'] = { type: null, extension: null };
    if (upload.expectedChecksum !== null && upload.expectedChecksum !== checksum) {
      return { rejection: { code: 'ERR_FILE_DAMAGED' }, found, checksum, sha256: null };
    }
    for (const check of checks) {
      const rejection = await withTimeLimit(check, checkTimeoutMs, lost, (signal) =>
        check.run({
          id: upload.id,
          owner: upload.owner,
          originalName: upload.originalName,
          safeName: upload.name,
          claimedType: upload.claimedType,
          length,
          head,
          policy,
          signal,
          found,
          read: (start, end) => staged.read(start, end),
          stream: () => staged.stream(),
        }),
      );
      if (rejection) return { rejection, found, checksum, sha256: null };
    }
    return { found, checksum, sha256: (await options.digest?.(staged.stream())) ?? null };
  } finally {
    await staged.close();
  }
}

/** What came past this server is read back whole only where its sender said what it must be. */
async function checksumOf(upload: Upload, length: number, staged: StagedBytes): Promise<number | null> {
  if (isSeenHere(upload) && upload.checksumOffset === length) return upload.checksum;
  if (!isSeenHere(upload) && upload.expectedChecksum === null) return null;
  const known = isSeenHere(upload) ? upload : { checksum: 0, checksumOffset: NO_CHECKSUM };
  return (await completeChecksum(known, await staged.reader())).checksum;
}

/** What its sender could bring past this server may have replaced what came through it: only what is stored counts. */
function isSeenHere({ checksumOffset, directDueAt }: Upload): boolean {
  return checksumOffset !== NO_CHECKSUM && directDueAt === null;
}

/** Opened when a check first asks for more than the head: most never do. */
class StagedBytes {
  readonly #upload: Upload;
  readonly #length: number;
  readonly #staging: Staging;
  #opened: Promise<StagedReader> | undefined;
  #isClosed = false;

  constructor(upload: Upload, length: number, staging: Staging) {
    this.#upload = upload;
    this.#length = length;
    this.#staging = staging;
  }

  async reader(): Promise<StagedReader> {
    // A check that outlived its time limit may come back and ask: nobody would close what it opened.
    if (this.#isClosed) throw new Error('The inspection is over.');
    this.#opened ??= this.#open();
    return this.#opened;
  }

  async read(start: number, end: number): Promise<Uint8Array> {
    return (await this.reader()).read(start, end);
  }

  async *stream(): AsyncIterable<Uint8Array> {
    yield* (await this.reader()).stream();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const reader = await this.#opened?.catch(() => undefined);
    await reader?.close();
  }

  async #open(): Promise<StagedReader> {
    const reader = await this.#staging.open(this.#upload.id).catch((cause: unknown) => {
      throw new StagedBytesGone('The staged bytes cannot be opened.', { cause });
    });
    if (reader.size === this.#length) return reader;
    await reader.close();
    throw new Error(`Staged are ${reader.size} bytes of ${this.#length}.`);
  }
}

async function withTimeLimit<T>(check: Check, limitMs: number, lost: AbortSignal, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  lost.throwIfAborted();
  const controller = new AbortController();
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const end = (error: unknown) => {
    controller.abort(error);
    reject(error);
  };
  const timer = setTimeout(() => end(new CheckCrash(`The check "${check.name}" took longer than ${limitMs} ms.`)), limitMs);
  const onLost = () => end(lost.reason);
  lost.addEventListener('abort', onLost);
  try {
    return await Promise.race([run(controller.signal), ended]);
  } finally {
    clearTimeout(timer);
    lost.removeEventListener('abort', onLost);
  }
}
