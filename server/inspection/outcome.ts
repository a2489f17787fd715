// Validates the answer of a check, which may be written without types, before a verdict is made of it.
import { isErrorCode, type Rejection } from '../../shared/errors.ts';
import type { CheckOutcome } from './check.ts';

/** Limit of the result, as JSON in UTF-8. */
export const MAX_RESULT_BYTES: number = 8 * 1024;
/** Limit of a rejection's detail, in letters: a sentence or two for a person. */
const MAX_DETAIL_LENGTH = 1000;

export interface ReadOutcome {
  rejection: Rejection | undefined;
  /** As JSON; undefined if none is attached. */
  result: string | undefined;
}

/** @throws Error naming the check: an invalid answer is a fault of the server, never a verdict */
export function readOutcome(check: string, outcome: CheckOutcome | undefined | null): ReadOutcome {
  if (outcome === undefined || outcome === null) return { rejection: undefined, result: undefined };
  const { code, result, detail } = (typeof outcome === 'object' ? outcome : {}) as Partial<Record<'code' | 'result' | 'detail', unknown>>;
  if (code === undefined && result === undefined) throw new Error(`The check "${check}" answered neither a rejection nor a result.`);
  if (code !== undefined && !isErrorCode(code)) throw new Error(`The check "${check}" refused with an unknown code.`);
  return {
    rejection: code === undefined ? undefined : { code, ...(typeof detail === 'string' && { detail: sentence(detail) }) },
    result: result === undefined ? undefined : serialize(check, result),
  };
}

function serialize(check: string, result: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(result);
  } catch (cause) {
    throw new Error(`The result of the check "${check}" is not JSON.`, { cause });
  }
  if (text === undefined) throw new Error(`The result of the check "${check}" is not JSON.`);
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_RESULT_BYTES) throw new Error(`The result of the check "${check}" has ${bytes} bytes, more than ${MAX_RESULT_BYTES}.`);
  return text;
}

/** In a form that every database stores, and a terminal prints safely. */
function sentence(detail: string): string {
  return detail
    .replace(/\p{Cc}+/gu, ' ')
    .slice(0, MAX_DETAIL_LENGTH)
    .toWellFormed();
}
