import { extensionOf } from '../../../shared/filename.ts';
import { extensionOfType } from '../../../shared/policy.ts';
import type { Check, Inspectable } from '../check.ts';
import type { Detector } from '../detector.ts';
import { BrokenContainer } from './byte-ranges.ts';
import { readContents } from './document.ts';
import { judgeHead } from './judge-head.ts';

/** The first bytes must be of the type of the name's last extension. Sets the type that was found. */
export function createSignatureCheck(detector: Detector): Check {
  return {
    name: 'signature',
    async run(upload) {
      const judgement = await judgeHead(detector, upload);
      if ('rejection' in judgement) return judgement.rejection;
      const extension = upload.safeName === null ? '' : extensionOf(upload.safeName);
      const isContainer = judgement.found?.ext === 'zip' || judgement.found?.ext === 'cfb';
      const type = extension === '' && isContainer ? await typeByDirectory(upload, judgement.type) : judgement.type;
      upload.found.type = type;
      upload.found.extension = extension === '' ? extensionOfType(upload.policy, type) : extension;
      return undefined;
    },
  };
}

/** Without an extension to compare with, only the directory tells a document from an archive. */
async function typeByDirectory(upload: Inspectable, otherwise: string): Promise<string> {
  try {
    const contents = await readContents(upload);
    return Object.values(upload.policy.types).find((type) => contents?.types.has(type)) ?? otherwise;
  } catch (error) {
    if (error instanceof BrokenContainer) return otherwise;
    throw error;
  }
}
