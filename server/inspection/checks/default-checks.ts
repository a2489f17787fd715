import type { Check } from '../check.ts';
import type { Detector } from '../detector.ts';
import { createArchiveCheck } from './archive.ts';
import { createLengthCheck } from './length.ts';
import { createNameCheck } from './name.ts';
import { createSignatureCheck } from './signature.ts';
import { createTextCheck } from './text.ts';

/** Cheap checks come first, and each check may use what earlier ones found. */
export function createDefaultChecks(detector: Detector): Check[] {
  return [createNameCheck(), createLengthCheck(), createSignatureCheck(detector), createTextCheck(), createArchiveCheck()];
}
