// What happens after the last byte: idempotent, single-flight by id, detached from any request, resumed at start. Here its parts are
// put together, and brought to an end.
import type { Logger } from 'pino';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import type { Unproved } from '../staging/unproved.ts';
import { InspectionRuns, type InspectionTools } from './inspection-runs.ts';
import { InspectionStarts, type InspectionStartsOptions } from './inspection-starts.ts';
import { InspectionWatch } from './inspection-watch.ts';
import { Prover } from './prover.ts';
import { RestartRecovery } from './restart-recovery.ts';
import { Verdicts, type VerdictsOptions } from './verdicts.ts';

export interface FinisherOptions extends InspectionTools {
  startingInspections: InspectionStartsOptions['startingInspections'];
  policyHash: string;
  unproved: Unproved;
  keepRecordsForMs: number;
  keepFilesForMs: VerdictsOptions['keepFilesForMs'];
  /** Whoever writes the bytes holds it: what is complete while it is held is begun by its holder. */
  lock: TryLock;
  log: Logger;
}

export class Finisher {
  /** Where doors begin inspections, which is all that most of them need of the finish. */
  readonly inspectionStarts: InspectionStarts;
  /** Where those are told who wait for verdicts. */
  readonly verdicts: Verdicts;
  /** What an earlier process left, or one beside this that is no more. */
  readonly restartRecovery: RestartRecovery;
  /** Takes up inspections that nobody runs. */
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

  /** For a ledger that this process alone serves: takes up what an earlier one left, and from now on what nobody runs. */
  async start(): Promise<void> {
    await this.restartRecovery.start();
    this.watch.start();
  }

  /** Lets running inspections end; waiting retries are left to the next start. */
  async close(): Promise<void> {
    const { ledger, holder } = this.#options;
    this.#closing.abort();
    this.#inspectionRuns.cancelRetries();
    await this.watch.close();
    // If the grace time ends before an inspection does, that is not the file's doing.
    await (async () => ledger.leases.takeBackStrikes(holder.name))().catch((error) => this.#log(error));
    await this.restartRecovery.done;
    await Promise.allSettled([...this.#inspectionRuns.all(), ...this.inspectionStarts.all()]);
    await this.verdicts.close();
  }

  #log(error: unknown, id?: UploadId): void {
    this.#options.log.error({ err: error, upload: id }, 'fault while finishing');
  }
}
