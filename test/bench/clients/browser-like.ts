// Sends one file in a separate process, in chunks as a browser does: `browser-like.ts FILE ENDPOINT CHUNK`, where CHUNK is
// a number of bytes or `adaptive`. Like a browser, it reads a chunk whole and sends it as one body of known length.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { browserPlatform } from '../../../client/browser/platform.ts';
import { startUpload } from '../../../client/handle/upload.ts';
import { nodePlatform } from '../../../client/node/platform.ts';
import { nodeSource } from '../../../client/node/source.ts';
import { nodeStore } from '../../../client/node/store.ts';

const [path = '', endpoint = '', chunk = ''] = process.argv.slice(2);
const state = mkdtempSync(join(tmpdir(), 'landfall-bench-state-'));
const platform = { ...nodePlatform, chunks: browserPlatform.chunks };
const chunkSize = chunk === 'adaptive' ? chunk : Number(chunk);
try {
  await startUpload(nodeSource(path), { endpoint, store: nodeStore(state), chunkSize }, platform).done;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  rmSync(state, { recursive: true, force: true });
}
