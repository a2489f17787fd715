// Room for what unfinished uploads are still to bring: taken when they are created, given back when nothing comes, and taken again
// with their next bytes. The counts are the ledger's, so that they are right after a crash and the same for every process.
import { UploadError } from '../../shared/errors.ts';
import { formatBytes } from '../../shared/units.ts';
import type { Config } from '../config/config.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { Grantee } from '../ledger/limits.ts';
import { type QuotaExceeded, type Quotas, quotaFault, UNLIMITED, VOLUME } from '../ledger/quotas.ts';
import type { Upload, UploadIn } from '../ledger/upload.ts';
import { RESERVED_BYTES } from './free-space.ts';
import type { Staging } from './staging.ts';

/** Where the length is not known, room is taken in such steps. */
const STEP_BYTES = 64 * 1024 * 1024;
const ASK_EVERY_MS = 1000;
const LAPSE_PAGE = 100;

/** Null: no limit. */
export interface SenderLimits {
  /** Unfinished uploads at once. */
  maxUnfinished: number | null;
  /** Bytes that those may come to. */
  maxReservedBytes: number | null;
  /** Bytes that those and accepted files may come to. */
  maxStoredBytes: number | null;
}

export interface ReservationsOptions {
  ledger: Ledger;
  quotas: Quotas;
  staging: Staging;
  /** Free for final files; Infinity where they are on the file system of what is staged. */
  storageFreeBytes?: (() => Promise<number>) | undefined;
  /** Of one owner, and of one address that nobody is known behind. */
  ownerLimits: SenderLimits;
  addressLimits: SenderLimits;
  /** Of what the disk has free, as much as one sender's unfinished uploads may come to: 0 to 1. */
  senderShare: number;
  /** How long room is kept for what does not come. */
  reserveForMs: number;
  maxUploadBytes: number;
}

/** As the settings say. */
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

/** What a new row says of the room taken for it. */
export type Reserved = Pick<UploadIn<'receiving'>, 'reservedBytes' | 'reservedUntil' | 'onVolume'>;

export class Reservations {
  readonly #options: ReservationsOptions;
  #free: { bytes: number; askedMs: number } | undefined;
  /** Of what was free, what was reserved at that time, and has come whole since. */
  #reserved: { bytes: number; askedMs: number | undefined } | undefined;

  constructor(options: ReservationsOptions) {
    this.#options = options;
  }

  /** Until when room is kept that is taken, or used, now; null: there is none to run out of. */
  until(upload: Pick<Upload, 'onVolume'>): number | null {
    const { ledger, reserveForMs } = this.#options;
    return upload.onVolume === 1 ? ledger.now() + reserveForMs : null;
  }

  /**
   * Adds an upload with room for its length, as `add` does it. Where that fails for want of room, what was promised to others and
   * lies unused is given back first, and what is free is counted to the byte.
   *
   * @throws UploadError 413, 429, 403, 507: whichever limit it would exceed
   */
  async create<T>(grantee: Grantee, length: number | null, add: (reserved: Reserved) => Promise<T>): Promise<T> {
    const onVolume = (await this.#available(false)) === Number.POSITIVE_INFINITY ? 0 : 1;
    const reservedUntil = this.until({ onVolume });
    const wanted = length ?? Math.min(STEP_BYTES, this.#options.maxUploadBytes);
    const attempt = (reservedBytes: number) => add({ reservedBytes, reservedUntil, onVolume });
    return this.#within(grantee, wanted, length === null ? 0 : wanted, attempt);
  }

  /**
   * Whether an upload may come that is added once all of it is here. It takes its room from the disk itself by then, so none is reserved
   * on the counter that all share, and those who add such uploads do not wait for each other. What is reserved for others stays theirs.
   * @throws UploadError as `create`
   */
  async admitWhole(grantee: Grantee, length: number): Promise<Reserved> {
    await this.#writeLimits(grantee, false, false);
    if (!(await this.#isFree(length, false))) {
      await this.lapse();
      if (!(await this.#isFree(length, true))) throw new UploadError('ERR_NO_SPACE', { retryAfterSeconds: 30 });
    }
    return { reservedBytes: length, reservedUntil: null, onVolume: 0 };
  }

  /**
   * Adds the row of an upload that `admitWhole` said may come, now that its bytes are here: others may have come meanwhile.
   * @throws UploadError as `create`
   */
  async add<T>(upload: Upload, add: () => Promise<T>): Promise<T> {
    const { owner, source, credential, quota, reservedBytes } = upload;
    try {
      // `admitWhole` wrote the limits down a moment ago.
      return await add();
    } catch (error) {
      if (quotaFault(error) === undefined) throw error;
    }
    return this.#within({ owner, source, credential, quota, limits: {} }, reservedBytes, reservedBytes, add, true);
  }

  /**
   * Takes room for as much of a body as is about to be stored, where there is none yet: it lapsed, or the length is not known.
   * @returns how far it reaches
   * @throws UploadError as `create`
   */
  async extend(upload: Upload, bytes: number): Promise<number> {
    const { ledger, maxUploadBytes } = this.#options;
    const wanted = upload.length ?? Math.min(Math.ceil(bytes / STEP_BYTES) * STEP_BYTES, maxUploadBytes);
    const reserve = async (reservedBytes: number) => {
      await ledger.change(upload.id, { from: 'receiving' }, { reservedBytes, reservedUntil: this.until(upload) }, false);
      return reservedBytes;
    };
    const { owner, source, credential, quota } = upload;
    return this.#within({ owner, source, credential, quota, limits: {} }, wanted, upload.length ?? Math.min(wanted, bytes), reserve, true);
  }

  /** Gives back the room of uploads that nothing came of for too long. What they brought still counts. */
  async lapse(): Promise<void> {
    const { ledger, quotas } = this.#options;
    const now = ledger.now();
    while ((await quotas.lapse(now, LAPSE_PAGE)) === LAPSE_PAGE);
  }

  /** @param least how much is enough, where all that is wanted is not to be had */
  async #within<T>(grantee: Grantee, wanted: number, least: number, take: (bytes: number) => Promise<T>, isKnown = false): Promise<T> {
    await this.#writeLimits(grantee, false, isKnown);
    try {
      return await take(wanted);
    } catch (error) {
      if (quotaFault(error) === undefined) throw error;
    }
    await this.lapse();
    await this.#writeLimits(grantee, true, isKnown);
    try {
      return await take(wanted).catch((error: unknown) => {
        if (least === wanted || quotaFault(error) === undefined) throw error;
        return take(least);
      });
    } catch (error) {
      const fault = quotaFault(error);
      throw fault === undefined ? error : this.#refusal(fault, grantee, wanted);
    }
  }

  /** @param isKnown the limits of its credential are written down since its creation */
  async #writeLimits({ credential, quota, limits }: Grantee, isExact: boolean, isKnown: boolean): Promise<void> {
    const { quotas, senderShare } = this.#options;
    const free = await this.#available(isExact);
    const isBounded = Number.isFinite(free);
    if (credential !== null && !isKnown) {
      const { maxUploads = null, maxBytes = null } = limits;
      await quotas.limit(credential, { ...UNLIMITED, maxUploads, maxBytes });
    }
    if (quota !== '') {
      const own = this.#senderLimits(quota);
      const share = isBounded ? Math.floor(free * senderShare) : Number.POSITIVE_INFINITY;
      const maxReservedBytes = Math.min(own.maxReservedBytes ?? Number.POSITIVE_INFINITY, share);
      await quotas.limit(quota, { ...UNLIMITED, ...own, maxReservedBytes: Number.isFinite(maxReservedBytes) ? maxReservedBytes : null });
    }
    if (isBounded) await quotas.limit(VOLUME, { ...UNLIMITED, maxReservedBytes: free });
  }

  #senderLimits(quota: string): SenderLimits {
    return quota.startsWith('address:') ? this.#options.addressLimits : this.#options.ownerLimits;
  }

  /** Whether so many bytes are free beside what is reserved. They count as taken until that is asked again. */
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
   * Bytes that all unfinished uploads together may come to. What they have brought is on the disk, and no longer free: it is
   * added only where `isExact`, since without it the sum is too small, never too large.
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

  #refusal({ scope, exceeded }: QuotaExceeded, { quota }: Grantee, bytes: number): UploadError {
    if (scope === 'volume') return new UploadError('ERR_NO_SPACE', { retryAfterSeconds: 30 });
    if (scope === 'credential') {
      return exceeded === 'uploads'
        ? new UploadError('ERR_ACCESS_USED_UP')
        : new UploadError('ERR_QUOTA_EXCEEDED', { detail: 'It would bring more bytes than were granted.' });
    }
    if (exceeded === 'unfinished') return new UploadError('ERR_TOO_MANY_UPLOADS', { retryAfterSeconds: 15 });
    const { maxReservedBytes, maxStoredBytes } = this.#senderLimits(quota);
    if (exceeded === 'storedBytes') {
      const limit = formatBytes(maxStoredBytes ?? 0);
      return new UploadError('ERR_QUOTA_EXCEEDED', { detail: `With it there would be more than the ${limit} that you may store.` });
    }
    if (maxReservedBytes !== null && bytes > maxReservedBytes) {
      return new UploadError('ERR_QUOTA_EXCEEDED', { detail: `At most ${formatBytes(maxReservedBytes)} may be under way at once.` });
    }
    // Of the configured limit others of its own are unfinished; or of the disk it may have but a part.
    return maxReservedBytes === null
      ? new UploadError('ERR_NO_SPACE', { retryAfterSeconds: 30 })
      : new UploadError('ERR_TOO_MANY_UPLOADS', { retryAfterSeconds: 15 });
  }
}
