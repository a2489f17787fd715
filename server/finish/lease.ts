/** Under which name this process takes leases, and until when it has them. */
export interface LeaseHolder {
  /** Nobody else takes up what waits for its next attempt. */
  readonly isAlone: boolean;
  /** @throws while it may take none */
  readonly name: string;
  /** Aborted when what the present name holds is no longer its own. */
  readonly lost: AbortSignal;
}

/** Of one attempt: what its changes to the row are guarded by. */
export interface Lease {
  holder: string;
  attempt: number;
  /** Crashes and time limits in a row, this attempt counted as one until it ends. */
  strikes: number;
}
