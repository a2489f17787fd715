// Reads the ledger of a data directory from outside, for facts that no answer of the server contains.
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
  /** Inspections started since the last one that ended normally. */
  strikes: number;
  errorCode: string | null;
}

/** Works while the server runs, and after a kill. */
export function ledgerRows(dataDir: string): LedgerRow[] {
  const columns = 'id, state, length, originalName, name, target, provenOffset, strikes, errorCode';
  return query<LedgerRow>(dataDir, `select ${columns} from uploads`);
}

/** The final states in events, by upload. */
export function ledgerEvents(dataDir: string): Map<string, UploadState[]> {
  const events = new Map<string, UploadState[]>();
  const text = "select uploadId, substr(type, 8) as state from events where type <> 'upload.created' order by position";
  for (const { uploadId, state } of query<{ uploadId: string; state: UploadState }>(dataDir, text)) {
    events.set(uploadId, [...(events.get(uploadId) ?? []), state]);
  }
  return events;
}

/** Makes the next start find that the machine has rebooted. */
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
