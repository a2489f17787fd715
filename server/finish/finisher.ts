// What happens after the last byte: idempotent, single-flight by id, detached from any request, resumed at start.

import type { Logger } from 'pino';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { TryLock } from '../locking/locker.ts';
import type { Complete } from '../staging/receiver.ts';
import type { Unproved } from '../staging/unproved.ts';
import { Attempts, type InspectionTools } from './attempts.ts';
import { type Beginning, Beginnings } from './beginnings.ts';
import { Prover } from './prover.ts';
import { Resumption } from './resumption.ts';
import { settle } from './settlement.ts';
import { Verdicts } from './verdicts.ts';
import { InspectionWatch } from './watch.ts';

export interface FinisherOptions extends InspectionTools {
  /** By upload, the inspections that are about to begin: filled here, and read by the locks, which are made before. */
  beginnings: Map<string, Beginning>;
  policyHash: string;
  unproved: Unproved;
  keepRecordsForMs: number;
  /** Whoever writes the bytes holds it: what is complete while it is held is begun by its holder. */
  lock: TryLock;
  log: Logger;
  /** Told of every verdict after it is durable; its faults are logged and change nothing. */
  onVerdict?: (upload: Upload) => Promise<void> | void;
}

export class Finisher {
  readonly #options: FinisherOptions;
  readonly #verdicts: Verdicts;
  readonly #attempts: Attempts;
  readonly #beginnings: Beginnings;
  readonly #resumption: Resumption;
  readonly #watch: InspectionWatch;
  readonly #closing = new AbortController();

  constructor(options: FinisherOptions) {
    this.#options = options;
    const common = { ...options, closing: this.#closing.signal, onFault: (error: unknown, id?: UploadId) => this.#log(error, id) };
    const verdicts = new Verdicts(common);
    const attempts = new Attempts({ ...common, verdicts });
    const beginnings = new Beginnings({ ...common, attempts, prover: new Prover(common) });
    this.#verdicts = verdicts;
    this.#attempts = attempts;
    this.#beginnings = beginnings;
    this.#resumption = new Resumption({ ...common, attempts, beginnings });
    this.#watch = new InspectionWatch({ ...common, attempts, beginnings });
  }

  /**
   * Takes up what an earlier process left: running inspections, and uploads whose bytes are complete but were never inspected.
   * For a ledger that this process alone serves.
   */
  async start(): Promise<void> {
    await this.#resumption.start();
    this.watch();
  }

  /** From now on takes up inspections that nobody runs. */
  watch(): void {
    this.#watch.start();
  }

  /** Begins an inspection that whoever stored the last byte did not come to. To be called under the upload's lock. */
  beginIfComplete(id: UploadId): Promise<void> {
    return this.#resumption.beginIfComplete(id);
  }

  /** Lets running inspections end; waiting retries are left to the next start. */
  async close(): Promise<void> {
    const { ledger, holder } = this.#options;
    this.#closing.abort();
    this.#attempts.cancelRetries();
    await this.#watch.close();
    // If the grace time ends before an inspection does, that is not the file's doing.
    await (async () => ledger.forgiveStrikes(holder.name))().catch((error) => this.#log(error));
    await this.#resumption.done;
    await Promise.allSettled([...this.#attempts.all(), ...this.#beginnings.all()]);
    await this.#verdicts.close();
  }

  /**
   * All `length` bytes are stored: makes them durable, fixes what a later attempt must not change, and starts the
   * inspection; in the background, over and over while the fault is ours. To be called under the upload's lock, which may
   * be released at once: until the state has changed, `isBeginning` keeps writers out. Fine to call again.
   *
   * @param held what the sender is not told yet: the last byte, or that the length was declared
   */
  begin(id: UploadId, length: number, held: Upload['held'], complete: Complete = { proof: 'unknown' }): Promise<boolean> {
    return this.#beginnings.begin(id, length, held, complete);
  }

  /**
   * As `begin`, for an upload that has no row yet, and no idempotency key, all of whose bytes are durable: it is added as one
   * under inspection. Whoever settles it is told when that fails; then its bytes go.
   */
  beginNew(upload: UploadIn<'receiving'>, length: number, complete: Complete): void {
    this.#beginnings.beginNew(upload, length, complete);
  }

  isBeginning(id: UploadId): boolean {
    return this.#beginnings.has(id);
  }

  /** Settles when the inspection that is about to begin has begun, or is given up; undefined where there is none. */
  beginning(id: UploadId): Promise<unknown> | undefined {
    return this.#beginnings.get(id)?.done;
  }

  /**
   * Waits for the verdict, at most `patienceMs`, and resolves with the row as it is then; as `inspecting` also while its bytes
   * are still being made durable. Undefined: there is no such row any more.
   */
  settle(id: UploadId, patienceMs: number, signal: AbortSignal): Promise<Upload | undefined> {
    return settle(this.#options.ledger, this.#beginnings, id, patienceMs, signal);
  }

  /** Tells of a verdict, whoever came to it. Never rejects. */
  announce(upload: Upload): Promise<void> {
    return this.#verdicts.announce(upload);
  }

  #log(error: unknown, id?: UploadId): void {
    this.#options.log.error({ err: error, upload: id }, 'fault while finishing');
  }
}
