// Makes small writes to many files, one after another. Each file is open only during its write.
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { codeOf } from './disk-thread.ts';
import type { WriteAnswer, WriteRequest } from './write-thread.ts';

const memory = new Uint8Array(workerData as SharedArrayBuffer);

parentPort?.on('message', (requests: WriteRequest[]) => {
  const answers = requests.map(answer);
  const areComplete = answers.every((written, index) => written === requests[index]?.bytes);
  parentPort?.postMessage(areComplete ? undefined : answers);
});

function answer({ path, position, mayCreate, start, bytes }: WriteRequest): WriteAnswer {
  try {
    const file = openSync(path, constants.O_WRONLY | (mayCreate ? constants.O_CREAT : 0), 0o640);
    try {
      return writeSync(file, memory, start, bytes, position);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    return { code: codeOf(error), message: error instanceof Error ? error.message : String(error) };
  }
}
