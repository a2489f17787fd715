// Starts runs of inspections that the ledger shows as `inspecting` and that no process runs: the process that ran one died, or did not
// receive the answer to its change of the row.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { InspectionRuns } from './inspection-runs.ts';
import type { InspectionStarts } from './inspection-starts.ts';
import type { LeaseHolder } from './lease.ts';
import { RECOVERED_AT_ONCE } from './restart-recovery.ts';

const EVERY_MS = 2000;
/** Inspections looked at in one pass. Other processes, and the next pass, find the rest. */
const PAGE = 100;

export interface InspectionWatchOptions {
  ledger: Ledger;
  holder: LeaseHolder;
  inspectionRuns: InspectionRuns;
  inspectionStarts: InspectionStarts;
  /** Aborted when the server shuts down: no run starts after that. */
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
    const isHere = (id: UploadId) => inspectionRuns.has(id) || inspectionStarts.has(id);
    // This process holds these leases, so no other process may run them. The bound below does not apply: they count as running.
    for (const id of await ledger.leases.of(holder.name)) if (!isHere(id)) inspectionRuns.run(id);
    for (const id of await ledger.leases.due(ledger.now(), PAGE)) {
      if (closing.aborted || inspectionRuns.size + inspectionStarts.size >= RECOVERED_AT_ONCE) return;
      if (!isHere(id)) inspectionRuns.run(id);
    }
  }
}
