import { setImmediate } from 'node:timers/promises';
import type { Rejection } from '../../../shared/errors.ts';
import { isTextType } from '../../../shared/formats.ts';
import type { Check } from '../check.ts';
import { type TextFault, TextValidator } from './text-validator.ts';

/** A few milliseconds' work. A stream from memory or a warm cache would otherwise block the event loop. */
const BYTES_BETWEEN_YIELDS = 2 * 1024 * 1024;

/** Content of a text type must be text to its last byte. Its meaning is not judged. */
export function createTextCheck(): Check {
  return {
    name: 'text',
    async run(upload) {
      if (upload.found.type === null || !isTextType(upload.found.type)) return undefined;
      const validator = new TextValidator(upload.policy);
      let sinceYield = 0;
      for await (const chunk of upload.stream()) {
        upload.signal.throwIfAborted();
        const fault = validator.push(chunk);
        if (fault !== undefined) return notText(upload.safeName, fault);
        sinceYield += chunk.length;
        if (sinceYield >= BYTES_BETWEEN_YIELDS) {
          sinceYield = 0;
          await setImmediate();
        }
      }
      const fault = validator.end();
      return fault === undefined ? undefined : notText(upload.safeName, fault);
    },
  };
}

export function notText(safeName: string | null, fault: TextFault): Rejection {
  const name = safeName === null ? 'The file' : `“${safeName}”`;
  const detail =
    fault.reason === 'control'
      ? `${name} has a byte at position ${fault.position} that does not occur in text.`
      : `${name} is neither UTF-8 nor UTF-16 text. If it is text, save it as UTF-8 and send it again.`;
  return { code: 'ERR_TEXT_INVALID', detail };
}
