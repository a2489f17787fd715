// Admits new uploads: checks the limits and the policy, and adds the row.
import { UploadError } from '../../shared/errors.ts';
import { safeFileName, safeRelativePath } from '../../shared/filename.ts';
import { formatMetadata, type Metadata, metadataValue } from '../../shared/metadata.ts';
import { checkName } from '../../shared/policy.ts';
import { METADATA_KEYS } from '../../shared/protocol.ts';
import { formatBytes } from '../../shared/units.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Grantee, Policies } from '../ledger/limits.ts';
import { JUST_CREATED, type Upload, type UploadIn } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { Durability } from './checkpoints.ts';
import { fingerprintOf, type KeyHolder, storedKeys } from './creation-key.ts';
import type { CreationRates } from './creation-rates.ts';
import type { FreeSpace } from './free-space.ts';
import type { Reservations, Reserved, WaitForRoom } from './reservations.ts';
import type { Staging } from './staging.ts';

/** For this long, an idempotency key names the upload that was created with it. */
const KEY_MS = 24 * 60 * 60 * 1000;

/** Largest file that a creation may bring whole. It arrives in about one piece, and sending it again after a cut costs little. */
export const WHOLE_BYTES: number = 64 * 1024;

/** True when an upload that its creation brings whole may have its bytes in this staging before it has a row. */
export function mayComeWhole(staging: Pick<Staging, 'isReadableInProgress'>): boolean {
  return staging.isReadableInProgress;
}

export interface AdmissionOptions {
  ledger: Ledger;
  policies: Policies;
  reservations: Reservations;
  rates: Pick<CreationRates, 'count'>;
  maxUploadBytes: number;
  expireAfterMs: number;
  durability: Durability;
}

export interface NewUpload {
  id: UploadId;
  /** Owner, quotas and limits. */
  grantee: Grantee & KeyHolder;
  /** Bytes; null while the length is deferred. */
  length: number | null;
  metadata: Metadata;
  /** As sent, for HEAD to echo. */
  rawMetadata: string;
  idempotencyKey: string | null;
  /** True for a small file that the creation brings whole: `InspectionStarts.startNew` adds its row once its bytes are stored. */
  comesWhole?: boolean;
  /** @default refuses at once */
  waitForRoom?: WaitForRoom | undefined;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #freeSpace: FreeSpace;

  constructor(options: AdmissionOptions, freeSpace: FreeSpace) {
    this.#options = options;
    this.#freeSpace = freeSpace;
  }

  /** See `Receiver.create`. */
  async create(request: NewUpload): Promise<{ upload: Upload; created: boolean }> {
    const { ledger, policies, reservations, expireAfterMs, durability } = this.#options;
    const { id, grantee, length, idempotencyKey } = request;
    const { owner, limits } = grantee;
    const creationFingerprint = idempotencyKey === null ? null : fingerprintOf(length, request.metadata);
    const keys =
      creationFingerprint === null || idempotencyKey === null ? undefined : storedKeys(grantee, idempotencyKey, creationFingerprint);
    if (keys !== undefined) {
      const earlier = await ledger.findByKey(owner, keys);
      if (earlier && earlier.createdAt - earlier.wallAheadMs > ledger.now() - KEY_MS) return repeated(earlier, creationFingerprint);
      if (earlier) await ledger.releaseKey(earlier.id);
    }
    // A repeated creation does not count again.
    await this.#options.rates.count(grantee.quota);
    const maxUploadBytes = Math.min(this.#options.maxUploadBytes, limits.maxUploadBytes ?? Number.POSITIVE_INFINITY);
    if (length !== null && length > maxUploadBytes) throw tooLarge(maxUploadBytes);
    const { metadata, rawMetadata } = withFixed(request, limits.metadata);
    const originalName = metadataValue(metadata, 'name');
    // Checks the name as sent: making it safe may remove a hidden extension.
    const refusal = originalName === null ? undefined : checkName(policies.within(limits), originalName);
    if (refusal) throw new UploadError(refusal.code, refusal.detail === undefined ? {} : { detail: refusal.detail });
    await this.#freeSpace.require(length ?? 0);
    const fresh = newRow({ id, grantee, length, metadata, rawMetadata }, ledger, expireAfterMs);
    const upload = { ...fresh, idempotencyKey: keys?.[0] ?? null, creationFingerprint };
    if (request.comesWhole) return { upload: { ...upload, ...(await reservations.admitWhole(grantee, length ?? 0)) }, created: true };
    const add = async (reserved: Reserved) => {
      const row = { ...upload, ...reserved };
      // With durability `chunk`, a client finds its upload again after a power cut.
      if (await ledger.create(row, durability === 'chunk')) return { upload: row, created: true };
      return this.#repeated(owner, keys, creationFingerprint);
    };
    return reservations.create(grantee, length, add, request.waitForRoom);
  }

  async #repeated(owner: string, keys: readonly string[] | undefined, creationFingerprint: string | null) {
    const { ledger } = this.#options;
    const earlier = keys && (await ledger.findByKey(owner, keys));
    if (earlier) return repeated(earlier, creationFingerprint);
    throw new UploadError('ERR_INTERNAL');
  }
}

/** The row of a new upload, for any protocol. */
export function newRow(
  { id, grantee, length, metadata, rawMetadata }: Omit<NewUpload, 'grantee' | 'idempotencyKey' | 'comesWhole'> & { grantee: Grantee },
  ledger: Ledger,
  expireAfterMs: number,
): UploadIn<'receiving'> {
  const originalName = metadataValue(metadata, 'name');
  const relativePath = metadataValue(metadata, 'relativePath');
  const now = ledger.now();
  const wall = Date.now();
  return {
    ...JUST_CREATED,
    id,
    owner: grantee.owner,
    source: grantee.source,
    credential: grantee.credential,
    quota: grantee.quota,
    limits: JSON.stringify(grantee.limits),
    length,
    metadata: rawMetadata,
    originalName: storable(originalName),
    claimedType: storable(metadataValue(metadata, 'type')),
    relativePath: relativePath === null ? null : (safeRelativePath(relativePath) ?? null),
    name: originalName === null ? null : safeFileName(originalName),
    idempotencyKey: null,
    createdAt: wall,
    wallAheadMs: wall - now,
    updatedAt: wall,
    expiresAt: now + expireAfterMs,
  };
}

/** @throws UploadError 422 when the key was used for another creation. Old rows without a fingerprint are not checked. */
function repeated(upload: Upload, fingerprint: string | null): { upload: Upload; created: boolean } {
  const earlier = upload.creationFingerprint;
  if (earlier !== null && earlier !== fingerprint) throw new UploadError('ERR_IDEMPOTENCY_KEY_REUSED');
  return { upload, created: false };
}

/** Replaces the sender's metadata with the values that the identity's limits fix. */
function withFixed(request: NewUpload, fixed: Readonly<Record<string, string>> | undefined): Pick<NewUpload, 'metadata' | 'rawMetadata'> {
  if (fixed === undefined) return request;
  const metadata = new Map(request.metadata);
  // Also removes the sender's values under other keys with the same meaning.
  for (const keys of Object.values(METADATA_KEYS)) {
    if (keys.some((key) => Object.hasOwn(fixed, key))) for (const key of keys) metadata.delete(key);
  }
  for (const [key, value] of Object.entries(fixed)) metadata.set(key, value);
  return { metadata, rawMetadata: formatMetadata(metadata) };
}

/** PostgreSQL stores no NUL, and UTF-8 encodes no lone surrogate. */
function storable(text: string | null): string | null {
  return text?.toWellFormed().replaceAll('\0', '\uFFFD') ?? null;
}

export function tooLarge(maxUploadBytes: number): UploadError {
  return new UploadError('ERR_MAX_SIZE_EXCEEDED', { detail: `The limit is ${formatBytes(maxUploadBytes)}.` });
}
