import type { Check } from '../check.ts';
import type { Detector } from '../detector.ts';
import { createArchiveCheck } from './archive.ts';
import { createLengthCheck } from './length.ts';
import { createNameCheck } from './name.ts';
import { createSignatureCheck } from './signature.ts';
import { createTextCheck } from './text.ts';

/** In their order: cheap before dear, and each may rely on what the ones before it found. */
export function createDefaultChecks(detector: Detector): Check[] {
  return [createNameCheck(), createLengthCheck(), createSignatureCheck(detector), createTextCheck(), createArchiveCheck()];
}
