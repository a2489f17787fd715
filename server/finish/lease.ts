/** The name under which this process takes leases, and the signal that it lost them. */
export interface LeaseHolder {
  /** True when this process serves the ledger alone: no other process runs its waiting inspections. */
  readonly isAlone: boolean;
  /** @throws while this process may take no leases */
  readonly name: string;
  /** Aborted when the leases of the present name are lost. */
  readonly lost: AbortSignal;
}

/** The lease of one run: every change of the row by this run is guarded by it. */
export interface Lease {
  holder: string;
  /** Number of the run. */
  attempt: number;
  /** Crashes and time limits in a row, this run counted as one until it ends. */
  strikes: number;
}
