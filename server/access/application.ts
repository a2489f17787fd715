import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { credentialOfOwner, type Limits, LimitsSchema, NO_LIMITS, quotaOfOwner } from '../ledger/limits.ts';
import { within } from '../runtime/pause.ts';
import type { AccessSource, Intent } from './identity.ts';

/**
 * What the rule may answer in the place of a plain owner.
 *
 * @example
 * ```ts
 * import type { AuthenticatedOwner } from 'landfall-server';
 *
 * const visitor: AuthenticatedOwner = { owner: 'visitor-17', limits: { maxUploadBytes: 1_000_000_000 } };
 * ```
 */
export interface AuthenticatedOwner {
  /** A stable name of the sender, 1 to 255 characters. */
  owner: string;
  /** Copied into each upload at its creation. @default none beyond the settings */
  limits?: Limits;
}

/**
 * A rule of the embedding application's: the owner, one with limits, or null for nobody (401). It is told what the request is
 * about to do, and may refuse that alone. An error that it throws with a `status` (or
 * `statusCode`) of 401, 403 or 429 is answered with that status and its `Retry-After`; any other, and no answer within 10 s, is
 * a fault of ours (503), which senders wait out.
 *
 * @example
 * ```ts
 * import type { Authenticate } from 'landfall-server';
 *
 * const authenticate: Authenticate = (request, intent) => {
 *   const session = sessionOf(request);
 *   if (session === undefined) return null;
 *   return intent === 'create' ? { owner: session.userId, limits: { maxUploads: 100 } } : session.userId;
 * };
 * ```
 */
export type Authenticate = (
  request: IncomingMessage,
  intent: Intent,
) => Promise<string | AuthenticatedOwner | null> | string | AuthenticatedOwner | null;

/** A rule that does not answer must not keep a sender waiting for ever: its own silence limit is 30 s. */
const RULE_TIMEOUT_MS = 10_000;
const MAX_OWNER_LENGTH = 255;

/** What a no of the application's is answered as. */
export const REFUSALS = { 401: 'ERR_UNAUTHORIZED', 403: 'ERR_FORBIDDEN', 429: 'ERR_TOO_MANY_REQUESTS' } as const;

/** Senders as the embedding application knows them. */
export function applicationSource(authenticate: Authenticate, timeoutMs: number = RULE_TIMEOUT_MS): AccessSource {
  return {
    async identify(request, intent) {
      const answer: unknown = await answerOf(authenticate, request, intent, timeoutMs);
      // A rule written without types may say undefined for nobody, or a number that no stored owner would equal.
      const { owner, limits: given = NO_LIMITS } = (typeof answer === 'object' && answer !== null ? answer : { owner: answer }) as {
        owner?: unknown;
        limits?: unknown;
      };
      if (!isOwner(owner)) throw new UploadError('ERR_UNAUTHORIZED');
      const limits = given === NO_LIMITS ? NO_LIMITS : asLimits(given);
      return {
        owner,
        source: 'application',
        credential: credentialOfOwner('application', owner, limits),
        quota: quotaOfOwner(owner),
        limits,
        isConfined: false,
        isByHeader: false,
      };
    },
  };
}

/** @throws UploadError 503: what the rule says can't be told from saying too much */
function asLimits(limits: unknown): Limits {
  const parsed = LimitsSchema.safeParse(limits);
  if (parsed.success) return parsed.data;
  const cause = new Error(`The rule "authenticate" answered limits that are none: ${parsed.error.message}`);
  throw new UploadError('ERR_ACCESS_UNAVAILABLE', { cause, retryAfterSeconds: 5 });
}

/** The empty owner is everyone's: a rule that means to name somebody never says it. PostgreSQL keeps no NUL. */
export function isOwner(owner: unknown): owner is string {
  return typeof owner === 'string' && /^[^\p{Cc}]+$/u.test(owner) && owner.length <= MAX_OWNER_LENGTH && owner.isWellFormed();
}

async function answerOf(authenticate: Authenticate, request: IncomingMessage, intent: Intent, timeoutMs: number): Promise<unknown> {
  const late = () => new Error(`The rule "authenticate" did not answer within ${timeoutMs} ms.`);
  try {
    return await within(timeoutMs, (async () => authenticate(request, intent))(), late);
  } catch (thrown) {
    if (thrown instanceof UploadError) throw thrown;
    throw refusalOf(thrown) ?? new UploadError('ERR_ACCESS_UNAVAILABLE', { cause: thrown, retryAfterSeconds: 5 });
  }
}

/** As http-errors, express-jwt and passport throw it. Its message stays here, where it does not say that it may be shown. */
function refusalOf(thrown: unknown): UploadError | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  const { status, statusCode = status, headers, expose, message } = thrown as Record<string, unknown>;
  if (statusCode !== 401 && statusCode !== 403 && statusCode !== 429) return undefined;
  const retryAfterSeconds = retryAfterOf(headers);
  return new UploadError(REFUSALS[statusCode], {
    ...(expose === true && typeof message === 'string' && message !== '' && { detail: message }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    cause: thrown,
  });
}

function retryAfterOf(headers: unknown): number | undefined {
  if (typeof headers !== 'object' || headers === null) return undefined;
  const [, value] = Object.entries(headers).find(([name]) => name.toLowerCase() === 'retry-after') ?? [];
  const seconds = Number(value);
  return Number.isInteger(seconds) && seconds >= 0 ? seconds : undefined;
}
