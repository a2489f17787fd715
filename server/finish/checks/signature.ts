import type { Check } from '../check.ts';
import type { Detector } from '../detector.ts';
import { judgeHead } from './judge-head.ts';

/** The first bytes must be of the type that the name's last extension stands for. Sets `found.type`. */
export function createSignatureCheck(detector: Detector): Check {
  return {
    name: 'signature',
    async run(upload) {
      const judgement = await judgeHead(detector, upload);
      if ('rejection' in judgement) return judgement.rejection;
      upload.found.type = judgement.type;
      return undefined;
    },
  };
}
