import type { Policy } from '../../shared/policy.ts';
import type { Upload } from '../ledger/ledger.ts';
import { completeChecksum } from '../staging/running-checksum.ts';
import type { StagedReader, Staging } from '../staging/staging.ts';
import { StagedBytesGone } from '../storage/storage.ts';
import { type Check, CheckCrash, HEAD_BYTES, type Inspectable, type Rejection } from './check.ts';

export interface InspectionOptions {
  upload: Upload;
  length: number;
  staging: Staging;
  checks: readonly Check[];
  policy: Policy;
  checkTimeoutMs: number;
}

export interface Inspection {
  rejection?: Rejection;
  found: Inspectable['found'];
  /** CRC-32 of the whole file. */
  checksum: number;
}

/**
 * Runs the checks in order until one refuses. Resolves with what they say; a check over its time counts as crashed.
 * @throws CheckCrash, or a fault of ours
 */
export async function inspect(options: InspectionOptions): Promise<Inspection> {
  const { upload, length, staging, checks, policy, checkTimeoutMs } = options;
  const reader = await staging.open(upload.id).catch((cause: unknown) => {
    throw new StagedBytesGone('The staged bytes cannot be opened.', { cause });
  });
  try {
    if (reader.size !== length) throw new Error(`Staged are ${reader.size} bytes of ${length}.`);
    const head = await reader.read(0, HEAD_BYTES);
    const found: Inspectable['found'] = { type: null, extension: null };
    const { checksum } = await completeChecksum(upload, reader);
    for (const check of checks) {
      const rejection = await withTimeLimit(check, checkTimeoutMs, (signal) =>
        check.run(view(upload, length, head, policy, found, reader, signal)),
      );
      if (rejection) return { rejection, found, checksum };
    }
    return { found, checksum };
  } finally {
    await reader.close();
  }
}

function view(
  upload: Upload,
  length: number,
  head: Buffer,
  policy: Policy,
  found: Inspectable['found'],
  reader: StagedReader,
  signal: AbortSignal,
): Inspectable {
  return {
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
    read: (start, end) => reader.read(start, end),
    stream: () => reader.stream(),
  };
}

async function withTimeLimit<T>(check: Check, limitMs: number, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const error = new CheckCrash(`The check "${check.name}" took longer than ${limitMs} ms.`);
      controller.abort(error);
      reject(error);
    }, limitMs);
  });
  try {
    return await Promise.race([run(controller.signal), limit]);
  } finally {
    clearTimeout(timer);
  }
}
