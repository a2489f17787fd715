// Assembles and closes the parts that work after an upload's last byte. Their work is idempotent, runs once at a time for each upload,
// does not depend on a request, and continues after a restart.
import type { Logger } from 'pino';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import type { SyncFailures } from '../staging/sync-failures.ts';
import { InspectionRuns, type InspectionTools } from './inspection-runs.ts';
import { InspectionStarts, type InspectionStartsOptions } from './inspection-starts.ts';
import { InspectionWatch } from './inspection-watch.ts';
import { Prover } from './prover.ts';
import { RestartRecovery } from './restart-recovery.ts';
import { Verdicts, type VerdictsOptions } from './verdicts.ts';

export interface FinisherOptions extends InspectionTools {
  startingInspections: InspectionStartsOptions['startingInspections'];
  policyHash: string;
  syncFailures: SyncFailures;
  keepRecordsForMs: number;
  keepFilesForMs: VerdictsOptions['keepFilesForMs'];
  /** The locks on uploads' bytes. The holder of a lock starts the inspection of an upload that it completes. */
  lock: TryLock;
  log: Logger;
}

export class Finisher {
  /** Starts inspections. This is the only part that the protocols (tus, forms) use. */
  readonly inspectionStarts: InspectionStarts;
  /** Writes verdicts and cleans up after them. */
  readonly verdicts: Verdicts;
  /** Continues uploads that an earlier process, or a dead process beside this one, left unfinished. */
  readonly restartRecovery: RestartRecovery;
  /** Starts runs of inspections that no process runs. */
  readonly watch: InspectionWatch;
  readonly #options: FinisherOptions;
  readonly #inspectionRuns: InspectionRuns;
  readonly #closing = new AbortController();

  constructor(options: FinisherOptions) {
    this.#options = options;
    const common = { ...options, closing: this.#closing.signal, onFault: (error: unknown, id?: UploadId) => this.#log(error, id) };
    const verdicts = new Verdicts(common);
    const inspectionRuns = new InspectionRuns({ ...common, verdicts });
    const inspectionStarts = new InspectionStarts({ ...common, inspectionRuns, prover: new Prover(common) });
    this.verdicts = verdicts;
    this.#inspectionRuns = inspectionRuns;
    this.inspectionStarts = inspectionStarts;
    this.restartRecovery = new RestartRecovery({ ...common, inspectionRuns, inspectionStarts });
    this.watch = new InspectionWatch({ ...common, inspectionRuns, inspectionStarts });
  }

  /** For a process that serves the ledger alone: recovers what the last process left, then keeps looking for inspections without a run. */
  async start(): Promise<void> {
    await this.restartRecovery.start();
    this.watch.start();
  }

  /** Waits for running inspections. Inspections that wait for their next run are left to the next start of the server. */
  async close(): Promise<void> {
    const { ledger, holder } = this.#options;
    this.#closing.abort();
    this.#inspectionRuns.cancelRetries();
    await this.watch.close();
    // The shutdown's grace time may end before an inspection does. That must not count as a strike against the file.
    await (async () => ledger.leases.takeBackStrikes(holder.name))().catch((error) => this.#log(error));
    await this.restartRecovery.done;
    await Promise.allSettled([...this.#inspectionRuns.all(), ...this.inspectionStarts.all()]);
    await this.verdicts.close();
  }

  #log(error: unknown, id?: UploadId): void {
    this.#options.log.error({ err: error, upload: id }, 'fault while finishing');
  }
}
