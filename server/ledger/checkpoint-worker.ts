import { DatabaseSync } from 'node:sqlite';
import { workerData } from 'node:worker_threads';
import { answerRequests } from '../runtime/worker.ts';
import type { CheckpointResult } from './checkpointer.ts';

const database = new DatabaseSync(String(workerData));
// With NORMAL, SQLite syncs the log before copying it, and the database file before restarting the log, as in its own checkpoints.
database.exec('pragma synchronous=NORMAL; pragma wal_autocheckpoint=0; pragma busy_timeout=0;');
// A passive checkpoint takes no lock that a commit needs.
const checkpoint = database.prepare('pragma wal_checkpoint(passive)');

/** Each request runs two checkpoints: the second copies only the commits that came during the first. */
answerRequests<'checkpoint', CheckpointResult | undefined>(() => {
  try {
    checkpoint.get();
    const row = checkpoint.get();
    return { log: Number(row?.log), checkpointed: Number(row?.checkpointed) };
  } catch {
    // The disk failed, or another process runs a checkpoint. The next checkpoint copies the same log.
    return undefined;
  }
});
