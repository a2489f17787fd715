// Limits how often an address may present invalid tokens.
import type { IncomingMessage } from 'node:http';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';
import { UploadError } from '../../shared/errors.ts';
import { type ClientAddresses, networkOf } from './anonymous.ts';

/** After this many invalid tokens in a minute, further invalid ones are answered 429, until the minute is over. */
const MAX_GUESSES = 20;
const SECONDS = 60;

export class GuessLimiter {
  readonly #addresses: ClientAddresses;
  readonly #limiter = new RateLimiterMemory({ points: MAX_GUESSES, duration: SECONDS });

  constructor(addresses: ClientAddresses) {
    this.#addresses = addresses;
  }

  /** Counts an invalid token. @throws UploadError 429 beyond the limit */
  async count(request: IncomingMessage): Promise<void> {
    const key = this.#keyOf(request);
    if (key === '') return;
    await this.#limiter.consume(key).catch(({ msBeforeNext }: RateLimiterRes) => {
      throw new UploadError('ERR_TOO_MANY_REQUESTS', { retryAfterSeconds: Math.max(1, Math.ceil(msBeforeNext / 1000)) });
    });
  }

  /** '' for a request that is not counted. */
  #keyOf(request: IncomingMessage): string {
    return isBehindUntrustedProxy(request, this.#addresses) ? '' : networkOf(this.#addresses.of(request));
  }
}

/**
 * True for a request through an untrusted proxy on this machine. All senders behind it have the same address, so each could lock out the
 * others. Landfall's own secrets are long enough to be safe without a limit.
 */
function isBehindUntrustedProxy(request: IncomingMessage, addresses: ClientAddresses): boolean {
  const { 'x-forwarded-for': forwardedFor, forwarded } = request.headers;
  return (forwardedFor !== undefined || forwarded !== undefined) && addresses.isThisMachine(request);
}
