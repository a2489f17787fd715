// The tables as they are now; `migrations.ts` is how they came to be.
import type { UploadState } from '../../shared/upload.ts';
import type { ConsumerTable, DeliveryTable, EventTable } from './event-tables.ts';
import type { UploadId } from './upload-id.ts';

/**
 * One durable row an upload. Sizes are bytes, times milliseconds: since the epoch where they are for people, and by the
 * ledger's own clock where something hangs on them.
 */
export interface UploadTable {
  id: UploadId;
  owner: string;
  state: UploadState;
  /** Null while deferred. */
  length: number | null;
  /** What the sender is not told yet while the inspection runs: the last byte, or that the length was declared. */
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
  /** While a chunk that carries its own checksum comes in: where it began. Beyond, nothing is counted; null otherwise. */
  unverifiedFrom: number | null;
  /** CRC-32 of the whole file as the sender read it, where it said so. */
  expectedChecksum: number | null;
  /** In hex, where configuration asks for it. */
  sha256: string | null;
  /** Inspections begun. The lease of attempt n is the only one that may write the outcome. */
  attempt: number;
  /** Inspections begun since the last one that ended by itself: crashes and time limits in a row. */
  strikes: number;
  /** The holder that has the lease, as long as it lives. A column keeps the name that it was published with, here and below. */
  leaseOwner: string | null;
  /** Earliest next attempt after a fault of ours. */
  retryAt: number | null;
  errorCode: string | null;
  errorDetail: string | null;
  /** JSON that a check attached to the verdict. */
  result: string | null;
  /** JSON: what a scan for malware found (`ScanReport`). */
  scan: string | null;
  /** The code of the fault of ours that the last attempt ended with, where it has one of its own. */
  fault: string | null;
  /** The policy a refusal was spoken under. */
  policyHash: string | null;
  /** As sent; of the anonymous owner behind the fingerprint, so that each creation has keys of its own. */
  idempotencyKey: string | null;
  /** SHA-256 of what the creation asked for, where it came with a key: the same key can't stand for anything else. */
  creationFingerprint: string | null;
  /** By the wall's clock, as `updatedAt`: for people, and nothing hangs on them. */
  createdAt: number;
  /** How far the wall's clock was ahead of the ledger's at the creation: without it, `createdAt` is the ledger's time. */
  wallAheadMs: number;
  updatedAt: number;
  /** When the sweeper may take it; null: never. */
  expiresAt: number | null;
  /** Of a file that is removed, and may still lie in the storage: when its record goes. Null once the file is gone. */
  recordExpiresAt: number | null;
  /** When to look, unasked, whether all has come of what is sent past this server; null: its bytes come through here. */
  directDueAt: number | null;
  /** How its sender was known; see `Grantee` for this and the next three. */
  source: string;
  credential: string | null;
  quota: string;
  /** JSON. */
  limits: string;
  /** Bytes that it counts for while it is unfinished: its length, or as far as room was taken for it. */
  reservedBytes: number;
  /** When that room is given back, should nothing come; null: it was, or there is none to give. */
  reservedUntil: number | null;
  /** 1: its bytes take room on the disk that all share. */
  onVolume: number;
}

/**
 * What uploads come to, counted together in the statements that change them (triggers): for each `quota`, each `credential`, and
 * `volume`. A limit that a change would exceed takes the change back.
 */
export interface QuotaTable {
  scope: string;
  /** Uploads that receive or are inspected, and the bytes reserved for them. */
  unfinished: number;
  reservedBytes: number;
  /** Of accepted files. */
  storedBytes: number;
  /** Ever, but for refused, cancelled and expired ones; and what those came to. */
  uploads: number;
  bytes: number;
  /** Null: no limit. */
  maxUnfinished: number | null;
  maxReservedBytes: number | null;
  /** Of what is stored and reserved together. */
  maxStoredBytes: number | null;
  maxUploads: number | null;
  maxBytes: number | null;
}

/** What the ledger knows of itself. */
export interface FactTable {
  key: string;
  value: string;
}

/** A process that takes locks and leases, for as long as it renews this row. Dead once, dead for ever. */
export interface HolderTable {
  /** The holder's own name. */
  owner: string;
  /** By the database's clock: another value with each renewal. */
  expiresAt: number;
  /** So long a renewal counts; 0: written by a version that did not say so. */
  leaseMs: number;
  /** 1: what it held is free. The row stays for a while, so that what it wrote without knowing is known to be a dead one's. */
  isDead: number;
}

/** The holder that is named in the row may write the upload's bytes, as long as it lives. */
export interface LockTable {
  uploadId: UploadId;
  /** The holder that has the lock. */
  owner: string;
  /** The machine's boot that the bytes were written in: in another, what was not proved may be anything. */
  boot: string;
}

/** What was given out, or taken back: keys, upload links, and grants that were revoked. Times are the wall's: they are people's. */
export interface CredentialTable {
  /** `key:ID`, `link:ID`, `grant:ID`. */
  id: string;
  /** What its id begins with. */
  kind: 'key' | 'link' | 'grant';
  owner: string;
  /** SHA-256 of the secret, in hex; empty for a grant, which carries its own proof. */
  secretHash: string;
  /** For people. */
  title: string;
  /** JSON, as in an upload's row. */
  limits: string;
  createdAt: number;
  /** When it ends by itself; null: never. */
  endsAt: number | null;
  /** When it was taken back; null: it counts. */
  removedAt: number | null;
}

/** One row: how far the ledger's time has come. */
export interface ClockTable {
  at: number;
}

/** An upload's bytes in a store that is not Landfall's own, by the name that the store has them under. */
export interface StagedNameTable {
  name: string;
  uploadId: UploadId;
  /** 1: what counts. Others are being made, or left over. */
  isCurrent: number;
}

/** An upload that was adopted from another server under an id that is none of Landfall's: its sender goes on at that address. */
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
