// Inspections that nobody runs are taken up, on one machine as on many: a process died, or a change was kept whose end it did
// not hear of, so that the row says `inspecting` and nobody inspects.
import type { Ledger } from '../ledger/ledger.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Attempts } from './attempts.ts';
import type { Beginnings } from './beginnings.ts';
import type { LeaseHolder } from './lease.ts';
import { RESUMED_AT_ONCE } from './resumption.ts';

const EVERY_MS = 2000;
/** Looked at in one pass: other processes, and the next pass, find the rest. */
const PAGE = 100;

export interface InspectionWatchOptions {
  ledger: Ledger;
  holder: LeaseHolder;
  attempts: Attempts;
  beginnings: Beginnings;
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
    const { ledger, holder, attempts, beginnings, closing } = this.#options;
    const isTaken = (id: UploadId) => attempts.has(id) || beginnings.has(id);
    // The lease is ours, so all others leave it to us. However many run: it counts as running already.
    for (const id of await ledger.leases.of(holder.name)) if (!isTaken(id)) attempts.run(id);
    for (const id of await ledger.leases.due(ledger.now(), PAGE)) {
      if (closing.aborted || attempts.size + beginnings.size >= RESUMED_AT_ONCE) return;
      if (!isTaken(id)) attempts.run(id);
    }
  }
}
