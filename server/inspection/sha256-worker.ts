// SHA-256 of many streams at once, in a worker thread.
import { createHash, type Hash } from 'node:crypto';
import { answerRequests } from '../runtime/worker.ts';
import type { HashAnswer, HashRequest } from './sha256.ts';

const hashes = new Map<number, Hash>();

answerRequests(answerTo);

function answerTo({ id, chunk, isAbandoned }: HashRequest): HashAnswer {
  const hash = hashes.get(id) ?? createHash('sha256');
  if (chunk !== undefined) {
    hash.update(chunk);
    hashes.set(id, hash);
    return undefined;
  }
  hashes.delete(id);
  return isAbandoned ? undefined : hash.digest('hex');
}
