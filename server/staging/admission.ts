// A new upload: whether it may come, and its row.
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
import type { Reservations } from './reservations.ts';

/** So long an idempotency key stands for the upload it was first sent with. */
const KEY_MS = 24 * 60 * 60 * 1000;

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
  /** Whose it is, and within which limits. */
  grantee: Grantee & KeyHolder;
  /** Bytes; null while deferred. */
  length: number | null;
  metadata: Metadata;
  /** As sent, for HEAD to echo. */
  rawMetadata: string;
  idempotencyKey: string | null;
  /** All of it comes now, and it is little: its row is written when its bytes are here, by whoever begins its inspection. */
  comesWhole?: boolean;
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #freeSpace: FreeSpace;

  constructor(options: AdmissionOptions, freeSpace: FreeSpace) {
    this.#options = options;
    this.#freeSpace = freeSpace;
  }

  /** As the receiver's. */
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
    // A creation whose answer was lost is none more.
    await this.#options.rates.count(grantee.quota);
    const maxUploadBytes = Math.min(this.#options.maxUploadBytes, limits.maxUploadBytes ?? Number.POSITIVE_INFINITY);
    if (length !== null && length > maxUploadBytes) throw tooLarge(maxUploadBytes);
    const { metadata, rawMetadata } = withFixed(request, limits.metadata);
    const originalName = metadataValue(metadata, 'name');
    // As sent: some names hide an extension that is gone once they are safe.
    const refusal = originalName === null ? undefined : checkName(policies.within(limits), originalName);
    if (refusal) throw new UploadError(refusal.code, refusal.detail === undefined ? {} : { detail: refusal.detail });
    await this.#freeSpace.require(length ?? 0);
    const begun = newRow({ id, grantee, length, metadata, rawMetadata }, ledger, expireAfterMs);
    const upload = { ...begun, idempotencyKey: keys?.[0] ?? null, creationFingerprint };
    if (request.comesWhole) return { upload: { ...upload, ...(await reservations.admitWhole(grantee, length ?? 0)) }, created: true };
    return reservations.create(grantee, length, async (reserved) => {
      const row = { ...upload, ...reserved };
      // Whoever is told of an upload finds it again after a power cut, where offsets are promised beyond one.
      if (await ledger.create(row, durability === 'chunk')) return { upload: row, created: true };
      return this.#repeated(owner, keys, creationFingerprint);
    });
  }

  async #repeated(owner: string, keys: readonly string[] | undefined, creationFingerprint: string | null) {
    const { ledger } = this.#options;
    const earlier = keys && (await ledger.findByKey(owner, keys));
    if (earlier) return repeated(earlier, creationFingerprint);
    throw new UploadError('ERR_INTERNAL');
  }
}

/** The row of an upload that begins, by whatever door. */
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

/** @throws UploadError 422 when the key stands for another creation. Rows from before there were fingerprints tell none. */
function repeated(upload: Upload, fingerprint: string | null): { upload: Upload; created: boolean } {
  const earlier = upload.creationFingerprint;
  if (earlier !== null && earlier !== fingerprint) throw new UploadError('ERR_IDEMPOTENCY_KEY_REUSED');
  return { upload, created: false };
}

/** What the identity says of an upload stands, whatever its sender says. */
function withFixed(request: NewUpload, fixed: Readonly<Record<string, string>> | undefined): Pick<NewUpload, 'metadata' | 'rawMetadata'> {
  if (fixed === undefined) return request;
  const metadata = new Map(request.metadata);
  // Nor under another key that means the same.
  for (const keys of Object.values(METADATA_KEYS)) {
    if (keys.some((key) => Object.hasOwn(fixed, key))) for (const key of keys) metadata.delete(key);
  }
  for (const [key, value] of Object.entries(fixed)) metadata.set(key, value);
  return { metadata, rawMetadata: formatMetadata(metadata) };
}

/** PostgreSQL keeps no text with a NUL in it, and UTF-8 has no half of a surrogate pair. */
function storable(text: string | null): string | null {
  return text?.toWellFormed().replaceAll('\0', '\uFFFD') ?? null;
}

export function tooLarge(maxUploadBytes: number): UploadError {
  return new UploadError('ERR_MAX_SIZE_EXCEEDED', { detail: `The limit is ${formatBytes(maxUploadBytes)}.` });
}
