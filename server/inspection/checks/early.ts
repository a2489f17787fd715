import type { Rejection } from '../../../shared/errors.ts';
import { HEAD_BYTES, isTextType } from '../../../shared/formats.ts';
import { checkLength, checkName, type Policy } from '../../../shared/policy.ts';
import type { Detector } from '../detector.ts';
import { judgeHead } from './judge-head.ts';
import { notText } from './text.ts';
import { TextValidator } from './text-validator.ts';

export interface EarlySubject {
  /** The first bytes received: 4100 or more, or the whole content. Fewer decide nothing. */
  readonly head: Uint8Array;
  readonly safeName: string | null;
  readonly claimedType: string | null;
  /** Bytes; null while deferred. */
  readonly length: number | null;
  readonly policy: Policy;
}

/**
 * Refuses a file by its first bytes, while the rest is still being sent, if the full inspection could only refuse it, too. It judges the
 * same bytes in the same way, without the checks that need the end of the file.
 *
 * @throws CheckCrash when the bytes crashed the detector; then nothing is decided
 */
export async function checkHead(detector: Detector, subject: EarlySubject): Promise<Rejection | undefined> {
  const { head, safeName, length, policy } = subject;
  const refusal = checkName(policy, safeName) ?? (length === null ? undefined : checkLength(policy, length));
  if (refusal !== undefined) return refusal;
  const isWhole = length !== null && head.length >= length;
  if (head.length < HEAD_BYTES && !isWhole) return undefined;

  const judgement = await judgeHead(detector, subject);
  if ('rejection' in judgement) return judgement.rejection;
  if (!isTextType(judgement.type)) return undefined;
  const validator = new TextValidator(policy);
  const fault = validator.push(head) ?? (isWhole ? validator.end() : undefined);
  return fault === undefined ? undefined : notText(safeName, fault);
}
