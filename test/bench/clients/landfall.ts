// Sends one file with Landfall's client in a separate process: `landfall.ts FILE ENDPOINT STALL_LIMIT_MS`.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nodeStore } from '../../../client/node/store.ts';
import { upload } from '../../../client/node.ts';

const [path = '', endpoint = '', stallMs = '30000'] = process.argv.slice(2);
const state = mkdtempSync(join(tmpdir(), 'landfall-bench-state-'));
const timeouts = { stallMs: Number(stallMs), connectMs: Number(stallMs) };
try {
  await upload(path, { endpoint, store: nodeStore(state), timeouts }).done;
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 1;
} finally {
  rmSync(state, { recursive: true, force: true });
}
