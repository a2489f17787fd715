import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { readRetryAfter } from '../../shared/retry-after.ts';
import { credentialOfOwner, type Limits, LimitsSchema, NO_LIMITS, quotaOfOwner } from '../ledger/limits.ts';
import { withTimeout } from '../runtime/pause.ts';
import type { AccessSource, Intent } from './identity.ts';

/**
 * What `authenticate` may return in place of a plain owner.
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
 * An access rule of the embedding application: returns the owner, an owner with limits, or null to refuse (401). The intent says what
 * the request is about to do; the rule may refuse it alone. An error with a `status` (or `statusCode`) of 401, 403 or 429 is answered
 * with that status and its `Retry-After` and `WWW-Authenticate`. Any other error, or no answer within 10 s, is a fault of the server
 * (503), and senders wait.
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

/** The rule must answer before the sender gives up, which happens after 30 s of silence. */
const RULE_TIMEOUT_MS = 10_000;
const MAX_OWNER_LENGTH = 255;

/** The error codes of the application's refusals. */
export const REFUSALS = { 401: 'ERR_UNAUTHORIZED', 403: 'ERR_FORBIDDEN', 429: 'ERR_TOO_MANY_REQUESTS' } as const;

/** Identifies senders by the embedding application's rule. */
export function applicationSource(authenticate: Authenticate, timeoutMs: number = RULE_TIMEOUT_MS): AccessSource {
  return {
    async identify(request, intent) {
      const answer: unknown = await answerOf(authenticate, request, intent, timeoutMs);
      // A rule written without types may return undefined for nobody, or a number that no stored owner would equal.
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

/** @throws UploadError 503: invalid limits could allow too much */
function asLimits(limits: unknown): Limits {
  const parsed = LimitsSchema.safeParse(limits);
  if (parsed.success) return parsed.data;
  const cause = new Error(`The rule "authenticate" returned invalid limits: ${parsed.error.message}`);
  throw new UploadError('ERR_ACCESS_UNAVAILABLE', { cause, retryAfterSeconds: 5 });
}

/** The empty owner means everyone, so a rule that names someone never returns it. PostgreSQL cannot store NUL. */
export function isOwner(owner: unknown): owner is string {
  return typeof owner === 'string' && /^[^\p{Cc}]+$/u.test(owner) && owner.length <= MAX_OWNER_LENGTH && owner.isWellFormed();
}

async function answerOf(authenticate: Authenticate, request: IncomingMessage, intent: Intent, timeoutMs: number): Promise<unknown> {
  const late = () => new Error(`The rule "authenticate" did not answer within ${timeoutMs} ms.`);
  try {
    return await withTimeout(timeoutMs, (async () => authenticate(request, intent))(), late);
  } catch (thrown) {
    if (thrown instanceof UploadError) throw thrown;
    throw refusalOf(thrown) ?? new UploadError('ERR_ACCESS_UNAVAILABLE', { cause: thrown, retryAfterSeconds: 5 });
  }
}

/** The forms of http-errors, express-jwt and passport. The error's message is sent only if the error says that it may be shown. */
function refusalOf(thrown: unknown): UploadError | undefined {
  if (typeof thrown !== 'object' || thrown === null) return undefined;
  const { status, statusCode = status, headers, expose, message } = thrown as Record<string, unknown>;
  if (statusCode !== 401 && statusCode !== 403 && statusCode !== 429) return undefined;
  const retryAfterSeconds = retryAfterOf(headers);
  const challenge = statusCode === 401 ? fieldOf(headers, 'WWW-Authenticate') : undefined;
  return new UploadError(REFUSALS[statusCode], {
    ...(expose === true && typeof message === 'string' && message !== '' && { detail: message }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(typeof challenge === 'string' && { headers: { 'WWW-Authenticate': challenge } }),
    cause: thrown,
  });
}

function retryAfterOf(headers: unknown): number | undefined {
  return readRetryAfter((name) => {
    const value = fieldOf(headers, name);
    return value === undefined ? null : String(value);
  });
}

function fieldOf(headers: unknown, name: string): unknown {
  if (typeof headers !== 'object' || headers === null) return undefined;
  return Object.entries(headers).find(([spelt]) => spelt.toLowerCase() === name.toLowerCase())?.[1];
}
