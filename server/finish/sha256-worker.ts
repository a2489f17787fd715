// SHA-256 of many streams at once, in a thread of its own.
import { createHash, type Hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';
import type { HashedChunk, HashRequest } from './sha256.ts';

const hashes = new Map<number, Hash>();

parentPort?.on('message', ({ id, chunk, isAbandoned }: HashRequest) => {
  const hash = hashes.get(id) ?? createHash('sha256');
  if (chunk !== undefined) {
    hash.update(chunk);
    hashes.set(id, hash);
  } else {
    hashes.delete(id);
  }
  const answer: HashedChunk = chunk !== undefined || isAbandoned ? { id } : { id, digest: hash.digest('hex') };
  parentPort?.postMessage(answer);
});
