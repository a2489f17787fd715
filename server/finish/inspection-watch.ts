// Inspections that nobody runs are taken up, on one machine as on many: a process died, or a change was kept whose end it did
// not hear of, so that the row says `inspecting` and nobody inspects.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { InspectionRuns } from './inspection-runs.ts';
import type { InspectionStarts } from './inspection-starts.ts';
import type { LeaseHolder } from './lease.ts';
import { RECOVERED_AT_ONCE } from './restart-recovery.ts';

const EVERY_MS = 2000;
/** Looked at in one pass: other processes, and the next pass, find the rest. */
const PAGE = 100;

export interface InspectionWatchOptions {
  ledger: Ledger;
  holder: LeaseHolder;
  inspectionRuns: InspectionRuns;
  inspectionStarts: InspectionStarts;
  /** Aborted when nothing is to be taken up any more. */
  closing: AbortSignal;
  onFault(error: unknown): void;
}

export class InspectionWatch {
  readonly #options: InspectionWatchOptions;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;

  constructor(options: InspectionWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      this.#running ??= this.#look()
        .catch((error) => this.#options.onFault(error))
        .finally(() => {
          this.#running = undefined;
        });
    }, EVERY_MS).unref();
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  async #look(): Promise<void> {
    const { ledger, holder, inspectionRuns, inspectionStarts, closing } = this.#options;
    const isTaken = (id: UploadId) => inspectionRuns.has(id) || inspectionStarts.has(id);
    // The lease is ours, so all others leave it to us. However many run: it counts as running already.
    for (const id of await ledger.leases.of(holder.name)) if (!isTaken(id)) inspectionRuns.run(id);
    for (const id of await ledger.leases.due(ledger.now(), PAGE)) {
      if (closing.aborted || inspectionRuns.size + inspectionStarts.size >= RECOVERED_AT_ONCE) return;
      if (!isTaken(id)) inspectionRuns.run(id);
    }
  }
}
