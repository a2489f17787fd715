// The present tables; `migrations.ts` leads to them.
import type { UploadState } from '../../shared/upload.ts';
import type { ConsumerTable, DeliveryTable, EventTable } from './event-tables.ts';
import type { UploadId } from './upload-id.ts';

/**
 * One durable row for each upload. Sizes are in bytes. Times are in milliseconds: since the epoch where they are for people, and by
 * the ledger's own clock where a decision depends on them.
 */
export interface UploadTable {
  id: UploadId;
  owner: string;
  state: UploadState;
  /** Null while the length is deferred. */
  length: number | null;
  /** The part that is not acknowledged while the inspection runs: the last byte, or the declaration of the length. */
  held: 'byte' | 'length';
  /** `Upload-Metadata` as sent. */
  metadata: string;
  originalName: string | null;
  claimedType: string | null;
  relativePath: string | null;
  /** The safe name; null until it is known. */
  name: string | null;
  /** Null until the upload is accepted. */
  type: string | null;
  /** Directory of the final file, relative to the storage's root; fixed on entering `inspecting`. */
  target: string | null;
  /** Bytes known to survive a power cut. */
  provenOffset: number;
  /** Running CRC-32 of the first `checksumOffset` bytes. */
  checksum: number;
  checksumOffset: number;
  /** Offset at which a chunk with its own checksum starts, while it is being received: bytes beyond it do not count. Null otherwise. */
  unverifiedFrom: number | null;
  /** CRC-32 of the whole file, if the sender declared one. */
  expectedChecksum: number | null;
  /** In hex, if the configuration asks for it. */
  sha256: string | null;
  /** Number of runs of the inspection that were started. Only the lease of the last run may write the outcome. */
  attempt: number;
  /** Runs in a row that ended in a crash or at a time limit, the present run counted as one. */
  strikes: number;
  /** Name of the process that holds the lease, as long as it lives. Columns keep the names they were published with. */
  leaseOwner: string | null;
  /** Earliest time of the next run after a fault of the server's own. */
  retryAt: number | null;
  errorCode: string | null;
  errorDetail: string | null;
  /** JSON that a check attached to the verdict. */
  result: string | null;
  /** JSON: what a scan for malware found (`ScanReport`). */
  scan: string | null;
  /** Code of the server's own fault that ended the last run, if the fault has one. */
  fault: string | null;
  /** Hash of the policy that refused the upload. */
  policyHash: string | null;
  /** As sent, after a prefix: for the anonymous owner the creation's fingerprint, for a guest the credential. */
  idempotencyKey: string | null;
  /** SHA-256 of the creation's parameters, if it had an idempotency key: the key cannot be used for another creation. */
  creationFingerprint: string | null;
  /** By the wall clock, like `updatedAt`: for people only, no decision depends on them. */
  createdAt: number;
  /** By how much the wall clock was ahead of the ledger's at the creation: `createdAt` minus this is the ledger's time. */
  wallAheadMs: number;
  updatedAt: number;
  /** When the sweeper expires or removes the upload, or deletes its record; null: never. */
  expiresAt: number | null;
  /** For a removed upload whose file may still be in the storage: when its record is deleted. Null once the file is deleted. */
  recordExpiresAt: number | null;
  /** When the sweeper next looks whether all bytes of a direct upload are in S3; null: the bytes come through this server. */
  directDueAt: number | null;
  /** How the sender was authenticated; see `Grantee` for this and the next three. */
  source: string;
  credential: string | null;
  quota: string;
  /** JSON. */
  limits: string;
  /** Bytes reserved for the unfinished upload: its length, or as many as were reserved so far while the length is unknown. */
  reservedBytes: number;
  /** When the reservation is released if no bytes arrive; null: it is released, or there is none to release. */
  reservedUntil: number | null;
  /** 1: the staged bytes are on the disk that all uploads share. */
  onVolume: number;
}

/**
 * Counters of uploads for each `quota`, each `credential`, and `volume`. Triggers keep them in the statements that change uploads,
 * and undo a statement that would exceed a limit: one of these, or for a credential one of the upload's own `limits`. The columns
 * `maxUploads` and `maxBytes` are for processes of earlier versions that still run beside this one.
 */
export interface QuotaTable {
  scope: string;
  /** Uploads that are `receiving` or `inspecting`, and the bytes reserved for them. */
  unfinished: number;
  reservedBytes: number;
  /** Bytes of accepted files. */
  storedBytes: number;
  /** All uploads ever made, without refused, cancelled and expired ones, and their bytes. */
  uploads: number;
  bytes: number;
  /** Null: no limit. */
  maxUnfinished: number | null;
  maxReservedBytes: number | null;
  /** Limits stored and reserved bytes together. */
  maxStoredBytes: number | null;
  /** When the limits were last written, by the ledger's clock. */
  limitedAt: number | null;
}

/** Single values about the ledger itself. */
export interface FactTable {
  key: string;
  value: string;
}

/** A process that takes locks and leases, for as long as it renews this row. A dead holder stays dead for ever. */
export interface HolderTable {
  /** The holder's own name. */
  owner: string;
  /** By the database's clock. Each renewal changes it. */
  expiresAt: number;
  /** Length of the lease from each renewal; 0: the row was written by a version without this column. */
  leaseMs: number;
  /**
   * 1: its locks and leases are free. The row stays for a while, so that late statements of the holder are recognised as a dead
   * holder's.
   */
  isDead: number;
}

/** The lock on an upload's bytes: `owner` may write them, as long as it lives. */
export interface LockTable {
  uploadId: UploadId;
  /** Name of the holder; empty: the lock is free, and the bytes beyond the proven offset may be lost in another boot. */
  owner: string;
  /** Boot of the machine that wrote the bytes. In another boot, or on another machine, unproven bytes may be missing or wrong. */
  boot: string;
}

/** Keys, upload links, and revoked grants. Times are by the wall clock, because people choose them. */
export interface CredentialTable {
  /** `key:ID`, `link:ID`, `grant:ID`. */
  id: string;
  /** Prefix of the id. */
  kind: 'key' | 'link' | 'grant';
  owner: string;
  /** SHA-256 of the secret, in hex; empty for a grant, which carries its own proof. */
  secretHash: string;
  /** For people. */
  title: string;
  /** JSON, as in an upload's row. */
  limits: string;
  createdAt: number;
  /** When it expires; null: never. */
  endsAt: number | null;
  /** When it was revoked; null: it is not. */
  removedAt: number | null;
}

/** One row: the ledger's time at the last heartbeat. */
export interface ClockTable {
  at: number;
}

/** The name of an upload's bytes in a store that is not Landfall's own. */
export interface StagedNameTable {
  name: string;
  uploadId: UploadId;
  /** 1: the name in use. Other names are being made, or left over. */
  isCurrent: number;
}

/** The old address of an upload that was adopted from another server: its sender resumes at that address. */
export interface AdoptedIdTable {
  address: string;
  uploadId: UploadId;
}

export interface Schema {
  uploads: UploadTable;
  holders: HolderTable;
  locks: LockTable;
  facts: FactTable;
  clock: ClockTable;
  events: EventTable;
  quotas: QuotaTable;
  credentials: CredentialTable;
  consumers: ConsumerTable;
  deliveries: DeliveryTable;
  stagedNames: StagedNameTable;
  adoptedIds: AdoptedIdTable;
}

export type Dialect = 'sqlite' | 'postgres';
