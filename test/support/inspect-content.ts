/** Runs checks on bytes in memory, in the way the finisher runs them on a staged file. */

import type { Check, Inspectable } from '../../server/inspection/check.ts';
import { readOutcome } from '../../server/inspection/outcome.ts';
import type { Rejection } from '../../shared/errors.ts';
import { safeFileName } from '../../shared/filename.ts';
import { HEAD_BYTES } from '../../shared/formats.ts';
import { DEFAULT_ALLOW, type Policy, parsePolicy } from '../../shared/policy.ts';
import type { ApplicationRecord } from '../../shared/upload.ts';

export const DEFAULT_POLICY: Policy = parsePolicy(DEFAULT_ALLOW);

export interface InspectionInput {
  name: string | null;
  content: Uint8Array;
  policy?: Policy;
  /** The size of streamed chunks. 64 KiB by default. */
  chunkBytes?: number;
  signal?: AbortSignal;
}

export interface InspectionOutcome {
  rejection: Rejection | undefined;
  /** The check that refused. */
  refusedBy: string | undefined;
  type: string | null;
  extension: string | null;
  /** Ranges read and chunks streamed. */
  reads: number;
}

const RECORD: ApplicationRecord = {
  id: '0123456789abcdef0123456789abcdef',
  state: 'inspecting',
  name: null,
  originalName: null,
  length: 0,
  offset: 0,
  type: null,
  checksum: null,
  createdAt: '2020-01-02T00:00:00.000Z',
  updatedAt: '2020-01-02T00:00:00.000Z',
  expiresAt: null,
  url: '/files/0123456789abcdef0123456789abcdef',
  owner: '',
  metadata: {},
  claimedType: null,
  place: null,
  attempts: 1,
};

export async function inspectContent(checks: readonly Check[], input: InspectionInput): Promise<InspectionOutcome> {
  const { content, name, chunkBytes = 64 * 1024 } = input;
  const found: Inspectable['found'] = { type: null, extension: null, scan: null };
  let reads = 0;
  const upload: Inspectable = {
    id: '0123456789abcdef0123456789abcdef',
    owner: '',
    metadata: {},
    record: RECORD,
    originalName: name,
    safeName: name === null ? null : safeFileName(name),
    claimedType: null,
    length: content.length,
    head: content.subarray(0, HEAD_BYTES),
    policy: input.policy ?? DEFAULT_POLICY,
    signal: input.signal ?? new AbortController().signal,
    found,
    async read(start, end) {
      reads++;
      return content.subarray(start, end);
    },
    async *stream() {
      for (let start = 0; start < content.length; start += chunkBytes) {
        reads++;
        yield content.subarray(start, start + chunkBytes);
      }
    },
    progress() {},
  };
  for (const check of checks) {
    const { rejection } = readOutcome(check.name, await check.run(upload));
    if (rejection !== undefined) return { rejection, refusedBy: check.name, ...found, reads };
  }
  return { rejection: undefined, refusedBy: undefined, ...found, reads };
}
