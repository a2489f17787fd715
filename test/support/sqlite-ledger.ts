// The ledger of a data directory, looked into from outside: what no answer of the server tells.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { UploadState } from '../../shared/upload.ts';

export interface LedgerRow {
  id: string;
  state: UploadState;
  /** Null while deferred. */
  length: number | null;
  originalName: string | null;
  /** The safe name; null until it is known. */
  name: string | null;
  /** Directory of the final file, relative to the storage's root; null before the inspection. */
  target: string | null;
  provenOffset: number;
  /** Inspections begun since the last one that ended by itself. */
  strikes: number;
  errorCode: string | null;
}

/** Whether the server runs or was killed. */
export function ledgerRows(dataDir: string): LedgerRow[] {
  const columns = 'id, state, length, originalName, name, target, provenOffset, strikes, errorCode';
  return query<LedgerRow>(dataDir, `select ${columns} from uploads`);
}

/** The states that events tell of, by upload: how each ended. */
export function ledgerEvents(dataDir: string): Map<string, UploadState[]> {
  const events = new Map<string, UploadState[]>();
  const text = "select uploadId, substr(type, 8) as state from events where type <> 'upload.created' order by number";
  for (const { uploadId, state } of query<{ uploadId: string; state: UploadState }>(dataDir, text)) {
    events.set(uploadId, [...(events.get(uploadId) ?? []), state]);
  }
  return events;
}

/** To the next start the machine has booted since the last one. */
export function forgetBoot(dataDir: string): void {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'));
  try {
    database.exec("update facts set value = 'an earlier one' where key = 'boot'");
  } finally {
    database.close();
  }
}

function query<T>(dataDir: string, text: string): T[] {
  const database = new DatabaseSync(join(dataDir, 'ledger.sqlite'), { readOnly: true });
  try {
    return database.prepare(text).all() as T[];
  } finally {
    database.close();
  }
}
