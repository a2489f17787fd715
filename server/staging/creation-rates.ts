// Limits how many uploads one sender may create in a minute. Each process counts by itself, from its start.
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import { UploadError } from '../../shared/errors.ts';

const WINDOW_SECONDS = 60;

export interface CreationRatesOptions {
  /** New uploads of one owner in a minute; null: no limit. */
  ownerMax: number | null;
  /** New uploads of one address with anonymous senders in a minute; null: no limit. */
  addressMax: number | null;
}

export class CreationRates {
  readonly #owners: RateLimiterMemory | undefined;
  readonly #addresses: RateLimiterMemory | undefined;

  constructor({ ownerMax, addressMax }: CreationRatesOptions) {
    this.#owners = limiterOf(ownerMax);
    this.#addresses = limiterOf(addressMax);
  }

  /**
   * Counts a creation, also one that is refused later.
   * @param quota the identity's quota scope; empty: not counted
   * @throws UploadError 429 when there were too many
   */
  async count(quota: string): Promise<void> {
    const limiter = quota.startsWith('address:') ? this.#addresses : this.#owners;
    if (limiter === undefined || quota === '') return;
    const counted = await limiter.consume(quota).catch((beyond: RateLimiterRes | Error) => {
      if (beyond instanceof Error) throw beyond;
      return beyond;
    });
    if (counted.consumedPoints <= limiter.points) return;
    const resetSeconds = Math.max(1, Math.ceil(counted.msBeforeNext / 1000));
    throw new UploadError('ERR_TOO_MANY_UPLOADS', {
      detail: `At most ${limiter.points} new uploads a minute are allowed.`,
      retryAfterSeconds: resetSeconds,
      rate: { limit: limiter.points, windowSeconds: WINDOW_SECONDS, remaining: 0, resetSeconds },
    });
  }
}

function limiterOf(points: number | null): RateLimiterMemory | undefined {
  return points === null ? undefined : new RateLimiterMemory({ points, duration: WINDOW_SECONDS });
}
