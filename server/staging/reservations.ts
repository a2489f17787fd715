// Reserves bytes for unfinished uploads at their creation, releases them when no bytes arrive for long, and reserves them again with the
// next bytes. The ledger counts reserved bytes, so that the counts are right after a crash and the same for every process.
import { UploadError } from '../../shared/errors.ts';
import { formatBytes } from '../../shared/units.ts';
import type { Config } from '../config/config.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Grantee } from '../ledger/limits.ts';
import { type QuotaExceeded, type Quotas, quotaFault, UNLIMITED, VOLUME } from '../ledger/quotas.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import { RESERVED_BYTES } from './free-space.ts';
import type { Staging } from './staging.ts';

/** While the length is unknown, bytes are reserved in steps of this size. */
const STEP_BYTES = 64 * 1024 * 1024;
const ASK_EVERY_MS = 1000;
const RELEASE_PAGE = 100;

/** Limits of one sender; null: no limit. */
export interface SenderLimits {
  /** Unfinished uploads at the same time. */
  maxUnfinished: number | null;
  /** Bytes reserved for unfinished uploads. */
  maxReservedBytes: number | null;
  /** Bytes of accepted files and reserved bytes together. */
  maxStoredBytes: number | null;
}

export interface ReservationsOptions {
  ledger: Ledger;
  quotas: Quotas;
  staging: Staging;
  /** Free bytes for final files; Infinity when they share the file system with staged bytes. */
  storageFreeBytes?: (() => Promise<number>) | undefined;
  /** Limits of each owner. */
  ownerLimits: SenderLimits;
  /** Limits of each address with anonymous senders. */
  addressLimits: SenderLimits;
  /** The share of the disk's free space that one sender may reserve: 0 to 1. */
  senderShare: number;
  /** How long a reservation lasts when no bytes arrive. */
  reserveForMs: number;
  maxUploadBytes: number;
}

/** The limits from the settings. */
export function reservationLimits(
  config: Config,
): Pick<ReservationsOptions, 'ownerLimits' | 'addressLimits' | 'senderShare' | 'reserveForMs' | 'maxUploadBytes'> {
  return {
    ownerLimits: {
      maxUnfinished: config.ownerMaxUploads,
      maxReservedBytes: config.ownerMaxReservedBytes,
      maxStoredBytes: config.ownerMaxStoredBytes,
    },
    addressLimits: {
      maxUnfinished: config.anonymousMaxUploads,
      maxReservedBytes: config.anonymousMaxReservedBytes,
      maxStoredBytes: config.anonymousMaxStoredBytes,
    },
    senderShare: config.senderSharePercent / 100,
    reserveForMs: config.reserveForMs,
    maxUploadBytes: config.maxUploadBytes,
  };
}

/** The scope of the server's own limits. The limits of a credential are in the upload's row. */
type Counted = Pick<Grantee, 'quota'>;

/**
 * Called when other unfinished uploads of the sender leave no room. Resolves to true once it may have changed, so that it is worth another
 * try; to false to be refused.
 */
export type WaitForRoom = () => Promise<boolean>;

const REFUSE: WaitForRoom = async () => false;

/** The columns of a new row that describe its reservation. */
export type Reserved = Pick<UploadIn<'receiving'>, 'reservedBytes' | 'reservedUntil' | 'onVolume'>;

export class Reservations {
  readonly #options: ReservationsOptions;
  #free: { bytes: number; askedMs: number } | undefined;
  /** Bytes that were reserved when `#free` was read, and bytes of whole uploads that were admitted since. */
  #reserved: { bytes: number; askedMs: number | undefined } | undefined;

  constructor(options: ReservationsOptions) {
    this.#options = options;
  }

  /** When a reservation that is made or used now expires; null when the upload's bytes are not on the disk. */
  until(upload: Pick<Upload, 'onVolume'>): number | null {
    const { ledger, reserveForMs } = this.#options;
    return upload.onVolume === 1 ? ledger.now() + reserveForMs : null;
  }

  /**
   * Adds an upload by calling `add`, with a reservation of its length. When a limit refuses it, releases expired reservations, counts
   * the free space exactly, and tries again.
   *
   * @throws UploadError 413, 429, 403, 507, by the limit that the upload would exceed
   */
  async create<T>(grantee: Grantee, length: number | null, add: (reserved: Reserved) => Promise<T>, waitForRoom?: WaitForRoom): Promise<T> {
    const onVolume = (await this.#available(false)) === Number.POSITIVE_INFINITY ? 0 : 1;
    const reservedUntil = this.until({ onVolume });
    const wanted = length ?? Math.min(STEP_BYTES, this.#options.maxUploadBytes);
    const addWith = (reservedBytes: number) => add({ reservedBytes, reservedUntil, onVolume });
    return this.#within(grantee, wanted, length === null ? 0 : wanted, addWith, waitForRoom);
  }

  /**
   * Admits an upload whose row is added after all of its bytes are stored. By then the bytes use up their space on the disk, so they are
   * not also counted as reserved on the volume, and such uploads do not wait for each other at that counter. Space that is reserved for
   * other uploads is not given to this one.
   * @throws UploadError as `create`
   */
  async admitWhole(grantee: Grantee, length: number): Promise<Reserved> {
    await this.#writeLimits(grantee, false);
    if (!(await this.#isFree(length, false))) {
      await this.releaseExpired();
      if (!(await this.#isFree(length, true))) throw new UploadError('ERR_NO_SPACE', { retryAfterSeconds: 30 });
    }
    return { reservedBytes: length, reservedUntil: null, onVolume: 0 };
  }

  /**
   * Adds the row of an upload that `admitWhole` admitted, after its bytes are stored. Other uploads may have used up a limit meanwhile.
   * @throws UploadError as `create`
   */
  async add<T>(upload: Upload, add: () => Promise<T>, waitForRoom?: WaitForRoom): Promise<T> {
    const { reservedBytes } = upload;
    try {
      // `admitWhole` has just written the limits.
      return await add();
    } catch (error) {
      if (quotaFault(error) === undefined) throw error;
    }
    return this.#within(upload, reservedBytes, reservedBytes, add, waitForRoom);
  }

  /**
   * Reserves bytes that are about to be stored, when the reservation has expired or the length is unknown.
   * @returns the reserved bytes of the upload
   * @throws UploadError as `create`
   */
  async extend(upload: Upload, bytes: number, waitForRoom?: WaitForRoom): Promise<number> {
    const { ledger, maxUploadBytes } = this.#options;
    const wanted = upload.length ?? Math.min(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES, maxUploadBytes);
    const reserve = async (reservedBytes: number) => {
      await ledger.change(upload.id, { from: 'receiving' }, { reservedBytes, reservedUntil: this.until(upload) }, false);
      return reservedBytes;
    };
    return this.#within(upload, wanted, upload.length ?? Math.min(wanted, bytes), reserve, waitForRoom);
  }

  /**
   * Writes the length of an upload that was created without one, and reserves it in the same statement. Durable. Resolves to false, and
   * changes nothing, when the upload is not `receiving`.
   * @throws UploadError as `create`; then no length is declared
   */
  declare(upload: Upload, length: number): Promise<boolean> {
    const { ledger } = this.#options;
    const changes = { length, reservedUntil: this.until(upload) };
    const write = (reservedBytes: number) => ledger.change(upload.id, { from: 'receiving' }, { ...changes, reservedBytes }, true);
    return this.#within(upload, length, length, write);
  }

  /** Releases expired reservations. The bytes that are stored still count. */
  async releaseExpired(): Promise<void> {
    const { ledger, quotas } = this.#options;
    const now = ledger.now();
    while ((await quotas.releaseExpired(now, RELEASE_PAGE)) === RELEASE_PAGE);
  }

  /** @param least number of bytes to reserve when a limit refuses `wanted` */
  async #within<T>(
    counted: Counted,
    wanted: number,
    least: number,
    take: (bytes: number) => Promise<T>,
    waitForRoom: WaitForRoom = REFUSE,
  ): Promise<T> {
    await this.#writeLimits(counted, false);
    try {
      return await take(wanted);
    } catch (error) {
      if (quotaFault(error) === undefined) throw error;
    }
    for (;;) {
      await this.releaseExpired();
      await this.#writeLimits(counted, true);
      try {
        return await take(wanted).catch((error: unknown) => {
          if (least === wanted || quotaFault(error) === undefined) throw error;
          return take(least);
        });
      } catch (error) {
        const fault = quotaFault(error);
        if (fault === undefined) throw error;
        const refusal = this.#refusal(fault, counted, least);
        if (refusal.code !== 'ERR_TOO_MANY_UPLOADS' || !(await waitForRoom())) throw refusal;
      }
    }
  }

  /** @param isExact true before a refusal: counts the free space exactly, and writes the limits even if they were written before */
  async #writeLimits({ quota }: Counted, isExact: boolean): Promise<void> {
    const { quotas, senderShare } = this.#options;
    const free = await this.#available(isExact);
    const isBounded = Number.isFinite(free);
    if (quota !== '') {
      const own = this.#senderLimits(quota);
      const share = isBounded ? Math.floor(free * senderShare) : Number.POSITIVE_INFINITY;
      const maxReservedBytes = Math.min(own.maxReservedBytes ?? Number.POSITIVE_INFINITY, share);
      await quotas.limit(quota, { ...own, maxReservedBytes: Number.isFinite(maxReservedBytes) ? maxReservedBytes : null }, isExact);
    }
    if (isBounded) await quotas.limit(VOLUME, { ...UNLIMITED, maxReservedBytes: free }, isExact);
  }

  #senderLimits(quota: string): SenderLimits {
    return quota.startsWith('address:') ? this.#options.addressLimits : this.#options.ownerLimits;
  }

  /** True when the disk has this many free bytes beyond the reserved ones. They then count as used until the free space is read again. */
  async #isFree(bytes: number, isExact: boolean): Promise<boolean> {
    const available = await this.#available(isExact);
    if (!Number.isFinite(available)) return true;
    const reserved = this.#reserved;
    if (isExact || reserved === undefined || reserved.askedMs !== this.#free?.askedMs) {
      const { reservedBytes = 0 } = (await this.#options.quotas.get(VOLUME)) ?? {};
      this.#reserved = { bytes: reservedBytes, askedMs: this.#free?.askedMs };
    }
    if (this.#reserved === undefined || this.#reserved.bytes + bytes > available) return false;
    this.#reserved.bytes += bytes;
    return true;
  }

  /**
   * Bytes that all unfinished uploads together may have: the free space, and their stored bytes, which are no longer free. The stored
   * bytes are added only with `isExact`, because they take a sum over rows. Without them the result is too small, never too large.
   */
  async #available(isExact: boolean): Promise<number> {
    const known = this.#free;
    if (!isExact && known !== undefined && performance.now() - known.askedMs < ASK_EVERY_MS) return known.bytes;
    const { staging, storageFreeBytes, quotas } = this.#options;
    let bytes = (await staging.freeBytes()) - RESERVED_BYTES;
    if (isExact && Number.isFinite(bytes)) bytes += await quotas.provenBytes();
    if (storageFreeBytes) bytes = Math.min(bytes, await storageFreeBytes());
    bytes = Math.max(bytes, 0);
    this.#free = { bytes, askedMs: performance.now() };
    return bytes;
  }

  /** @param bytes number of bytes that the upload certainly has */
  #refusal({ scope, exceeded }: QuotaExceeded, { quota }: Counted, bytes: number): UploadError {
    if (scope === 'volume') return new UploadError('ERR_NO_SPACE', { retryAfterSeconds: 30 });
    if (scope === 'credential') {
      return exceeded === 'uploads'
        ? new UploadError('ERR_ACCESS_USED_UP')
        : new UploadError('ERR_QUOTA_EXCEEDED', { detail: 'The file would exceed the granted number of bytes.' });
    }
    if (exceeded === 'unfinished') return new UploadError('ERR_TOO_MANY_UPLOADS', { retryAfterSeconds: 15 });
    const { maxReservedBytes, maxStoredBytes } = this.#senderLimits(quota);
    if (exceeded === 'storedBytes') {
      const limit = formatBytes(maxStoredBytes ?? 0);
      return new UploadError('ERR_QUOTA_EXCEEDED', { detail: `You may store ${limit} in total.` });
    }
    if (maxReservedBytes !== null && bytes > maxReservedBytes) {
      return new UploadError('ERR_QUOTA_EXCEEDED', { detail: `At most ${formatBytes(maxReservedBytes)} may be in unfinished uploads.` });
    }
    // Either the sender's other uploads use up the configured limit, or the sender's share of the disk is used up.
    return maxReservedBytes === null
      ? new UploadError('ERR_NO_SPACE', { retryAfterSeconds: 30 })
      : new UploadError('ERR_TOO_MANY_UPLOADS', { retryAfterSeconds: 15 });
  }
}
