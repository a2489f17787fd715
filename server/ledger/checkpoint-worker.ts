import { DatabaseSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import type { Checkpointed } from './checkpointer.ts';

const database = new DatabaseSync(String(workerData));
// The log is synced before it is copied, the database file before the log begins anew: as where SQLite does it by itself.
database.exec('pragma synchronous=NORMAL; pragma wal_autocheckpoint=0; pragma busy_timeout=0;');
// Passive: it takes no lock that a commit wants.
const checkpoint = database.prepare('pragma wal_checkpoint(passive)');

/** Twice: the second time there is only what came during the first. */
parentPort?.on('message', () => {
  let result: Checkpointed | undefined;
  try {
    checkpoint.get();
    const row = checkpoint.get();
    result = { log: Number(row?.log), checkpointed: Number(row?.checkpointed) };
  } catch {
    // A disk that fails, or another process that copies: the next one finds the same log again.
  }
  parentPort?.postMessage(result);
});
