// SHA-256 of parts, in a worker thread that reads them where they lie.
import { createHash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

parentPort?.on('message', (part: Uint8Array<SharedArrayBuffer>) => parentPort?.postMessage(createHash('sha256').update(part).digest()));
