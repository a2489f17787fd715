// `landfall-server show` within this process.
import { resolveConfig } from '../../server/config/config.ts';
import { runOperatorCommand } from '../../server/operator/operator.ts';
import type { ApplicationRecord } from '../../shared/upload.ts';

/** An upload as the application sees it, whether or not the server runs. @throws when there is none */
export async function showUpload(dataDir: string, id: string): Promise<ApplicationRecord & { file?: string }> {
  let text = '';
  const output = {
    write: (piece: string) => {
      text += piece;
      return true;
    },
    once: () => undefined,
  };
  await runOperatorCommand('show', [id], {}, resolveConfig({ dataDir }), output);
  return JSON.parse(text) as ApplicationRecord;
}
