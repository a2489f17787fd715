// How often an address may show what is not valid.
import type { IncomingMessage } from 'node:http';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import { UploadError } from '../../shared/errors.ts';
import { type ClientAddresses, networkOf } from './anonymous.ts';

/** So many in a minute; then nothing is looked at that is not known to be valid, until the minute is over. */
const GUESSES = 20;
const SECONDS = 60;

export class Guesses {
  readonly #addresses: ClientAddresses;
  readonly #limiter = new RateLimiterMemory({ points: GUESSES, duration: SECONDS });

  constructor(addresses: ClientAddresses) {
    this.#addresses = addresses;
  }

  /** @throws UploadError 429 */
  async requireFew(request: IncomingMessage): Promise<void> {
    const key = this.#keyOf(request);
    const counted: RateLimiterRes | null = key === '' ? null : await this.#limiter.get(key);
    if (counted === null || counted.consumedPoints < GUESSES) return;
    throw new UploadError('ERR_TOO_MANY_REQUESTS', { retryAfterSeconds: Math.max(1, Math.ceil(counted.msBeforeNext / 1000)) });
  }

  /** Counts one that was wrong. */
  async count(request: IncomingMessage): Promise<void> {
    const key = this.#keyOf(request);
    // Beyond the limit it rejects, and has counted.
    if (key !== '') await this.#limiter.consume(key).catch(() => undefined);
  }

  /** '': one that is not counted. */
  #keyOf(request: IncomingMessage): string {
    return isProxiedUnseen(request, this.#addresses) ? '' : networkOf(this.#addresses.of(request));
  }
}

/**
 * A proxy on this machine that nobody told us to trust: all of its senders would be one, and each of them could shut out all
 * others. Secrets of ours take no limit to be safe.
 */
function isProxiedUnseen(request: IncomingMessage, addresses: ClientAddresses): boolean {
  const { 'x-forwarded-for': forwardedFor, forwarded } = request.headers;
  return (forwardedFor !== undefined || forwarded !== undefined) && addresses.isThisMachine(request);
}
