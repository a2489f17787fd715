// The application decides: LANDFALL_ACCESS_URL is asked about each request, and answers with an owner and limits, or with a refusal.
// With LANDFALL_ACCESS_OWNER_HEADER the question has the form of nginx's `auth_request`.
import { createHash } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import { type Metadata, parseMetadata } from '../../shared/metadata.ts';
import { parseByteCount } from '../../shared/protocol.ts';
import { readRetryAfter } from '../../shared/retry-after.ts';
import { type Config, ConfigError } from '../config/config.ts';
import type { Ledger } from '../ledger/ledger.ts';
import { credentialOfOwner, type Limits, NO_LIMITS, quotaOfOwner } from '../ledger/limits.ts';
import { storedMetadata } from '../ledger/stored-metadata.ts';
import type { Upload } from '../ledger/upload.ts';
import type { UploadId } from '../ledger/upload-id.ts';
import type { ClientAddresses } from './anonymous.ts';
import { AnswerCache } from './answer-cache.ts';
import { isOwner, REFUSALS } from './application.ts';
import { cacheForMs, messageOf } from './application-answer.ts';
import { type BoundedAnswer, boundedFetch } from './bounded-fetch.ts';
import type { AccessSource, Identity, Intent } from './identity.ts';
import { parseOwnerLimits } from './owner-limits.ts';

const TIMEOUT_MS = 10_000;
const MAX_BYTES = 64 * 1024;
const MAX_CACHED = 10_000;

export interface AccessUrlOptions {
  /** May contain a user name and a password, which are sent as Basic authentication. */
  url: string;
  /** The response header that names the owner, when the application is asked as by `auth_request`. Empty: it is asked in JSON. */
  ownerHeader: string;
  ledger: Pick<Ledger, 'get'>;
  addresses: ClientAddresses;
  timeoutMs?: number;
}

/** The application's answer. */
type Decision = { approval: { owner: string; limits: Limits } } | { refusal: Refusal };

interface Refusal {
  status: keyof typeof REFUSALS;
  detail: string | undefined;
  retryAfterSeconds: number | undefined;
  /** `WWW-Authenticate` of a 401. */
  challenge: string | undefined;
}

/** The description of an upload that the application gets. Without an id, the upload is about to be created. */
interface UploadDescription {
  id?: UploadId;
  owner?: string;
  state?: string;
  name?: string | null;
  type?: string | null;
  length?: number | null;
  metadata?: Record<string, string>;
}

/** The HTTP request to the application. */
type Question = Pick<RequestInit, 'method' | 'headers'> & { body?: string };

/** Checks that need several settings. @throws ConfigError */
export function requireAccessUrlSettings({ access, accessUrl, accessOwnerHeader }: Config): void {
  if (!access.includes('url')) {
    if (accessUrl === '' && accessOwnerHeader === '') return;
    throw new ConfigError('LANDFALL_ACCESS: Add url: its settings are there.');
  }
  if (accessUrl === '') throw new ConfigError('LANDFALL_ACCESS: For url set LANDFALL_ACCESS_URL.');
  if (accessOwnerHeader === '' || !hasPassword(accessUrl)) return;
  throw new ConfigError(
    "LANDFALL_ACCESS_URL: With LANDFALL_ACCESS_OWNER_HEADER write it without a password: the sender's credentials are sent.",
  );
}

export class AccessUrl {
  readonly #options: AccessUrlOptions;
  readonly #url: URL;
  readonly #authorization: string | undefined;
  readonly #cache = new AnswerCache<Decision>(MAX_CACHED);
  /** Running requests by their question: equal questions at the same time share one request. */
  readonly #asking = new Map<string, Promise<Decision>>();

  constructor(options: AccessUrlOptions) {
    this.#options = options;
    this.#url = new URL(options.url);
    const { username, password } = this.#url;
    if (`${username}${password}` !== '') {
      const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
      this.#authorization = `Basic ${Buffer.from(pair).toString('base64')}`;
    }
    // `fetch` accepts no credentials in an address.
    this.#url.username = '';
    this.#url.password = '';
  }

  /**
   * @param isLast true when no other source identifies senders without credentials: the application is then asked about them, too
   */
  source(isLast: boolean): AccessSource {
    return {
      identify: async (request, intent, id) => {
        const { authorization, cookie } = request.headers;
        if (!isLast && authorization === undefined && cookie === undefined) return undefined;
        const decision = await this.#decide(request, intent, id);
        if ('refusal' in decision) throw errorOf(decision.refusal);
        return identityOf(decision.approval, authorization !== undefined);
      },
    };
  }

  /**
   * Asks whether a complete upload that has passed its checks may become a file. The request has only the server's own credentials:
   * the sender may be gone, and the sender's credentials are not stored.
   * @returns the application's refusal; undefined: the upload may finish
   * @throws UploadError when the application gives no readable answer
   */
  async refusalToFinish(upload: Upload): Promise<{ detail: string | undefined } | undefined> {
    // `auth_request` only asks about requests of senders.
    if (this.#options.ownerHeader !== '') return undefined;
    const answer = await this.#fetch(this.#asJson({ intent: 'finish', upload: describe(upload) }));
    if (answer.status === 403) return { detail: messageOf(answer) };
    if (isSuccess(answer)) return undefined;
    throw unavailable(new Error(`It answered ${answer.status} to the question whether an upload may finish.`));
  }

  async #decide(request: IncomingMessage, intent: Intent, id: UploadId | undefined): Promise<Decision> {
    const { authorization = '', cookie = '' } = request.headers;
    const address = this.#options.addresses.of(request);
    const key = createHash('sha256')
      .update(JSON.stringify([authorization, cookie, address, intent, id]))
      .digest('base64');
    const kept = this.#cache.get(key);
    if (kept !== undefined) return kept;
    const question = await this.#questionOf(request, intent, id, address);
    const asked = JSON.stringify(question);
    let asking = this.#asking.get(asked);
    if (asking === undefined) {
      asking = this.#ask(question, key).finally(() => this.#asking.delete(asked));
      this.#asking.set(asked, asking);
    }
    return asking;
  }

  async #questionOf(request: IncomingMessage, intent: Intent, id: UploadId | undefined, address: string): Promise<Question> {
    const { authorization, cookie } = request.headers;
    if (this.#options.ownerHeader !== '') {
      const { originalUrl = request.url ?? '' } = request as { originalUrl?: string };
      const headers = {
        ...(authorization !== undefined && { Authorization: authorization }),
        ...(cookie !== undefined && { Cookie: cookie }),
        'X-Forwarded-For': address,
        'X-Original-Method': request.method ?? '',
        'X-Original-URI': originalUrl,
        'X-Landfall-Intent': intent,
        ...(id !== undefined && { 'X-Landfall-Upload': id }),
      };
      return { method: 'GET', headers };
    }
    const upload = id === undefined ? describeCreation(request) : describe((await this.#options.ledger.get(id)) ?? { id });
    return this.#asJson({ intent, upload, sender: { authorization, cookie, address } });
  }

  #asJson(question: object): Question {
    const headers = {
      'Content-Type': 'application/json',
      Accept: 'application/json',
      ...(this.#authorization !== undefined && { Authorization: this.#authorization }),
    };
    return { method: 'POST', headers, body: JSON.stringify(question) };
  }

  async #ask(question: Question, key: string): Promise<Decision> {
    const answer = await this.#fetch(question);
    const decision = this.#decisionIn(answer);
    const isFinal = 'approval' in decision || decision.refusal.status !== 429;
    if (isFinal) this.#cache.keep(key, decision, cacheForMs(answer.headers));
    return decision;
  }

  async #fetch(question: Question): Promise<BoundedAnswer> {
    const { timeoutMs = TIMEOUT_MS } = this.#options;
    try {
      return await boundedFetch(this.#url, question, { timeoutMs, maxBytes: MAX_BYTES });
    } catch (error) {
      throw unavailable(error);
    }
  }

  /** @throws UploadError for an unreadable answer, because it may be a refusal */
  #decisionIn(answer: BoundedAnswer): Decision {
    const { ownerHeader } = this.#options;
    const { status } = answer;
    if (status === 401 || status === 403 || status === 429) {
      // In JSON, the credentials of the request are this server's own, and a challenge would be for them.
      const challenge = ownerHeader !== '' && status === 401 ? (answer.headers.get('WWW-Authenticate') ?? undefined) : undefined;
      const retryAfterSeconds = readRetryAfter((name) => answer.headers.get(name));
      return { refusal: { status, detail: messageOf(answer), retryAfterSeconds, challenge } };
    }
    if (!isSuccess(answer)) throw unavailable(new Error(`It answered ${status}.`));
    const approval = ownerHeader === '' ? approvalInJson(answer.text) : approvalByHeader(answer.headers, ownerHeader);
    if (typeof approval === 'string') throw unavailable(new Error(`Its answer cannot be read: ${approval}.`));
    return { approval };
  }
}

function identityOf({ owner, limits }: { owner: string; limits: Limits }, isByHeader: boolean): Identity {
  const credential = credentialOfOwner('url', owner, limits);
  return { owner, source: 'url', credential, quota: quotaOfOwner(owner), limits, isConfined: false, isByHeader };
}

function approvalInJson(text: string): { owner: string; limits: Limits } | string {
  try {
    return parseOwnerLimits(JSON.parse(text), 'answer');
  } catch {
    return 'it is not JSON';
  }
}

// Node decodes headers as Latin-1; servers send names in UTF-8.
function approvalByHeader(headers: Headers, name: string): { owner: string; limits: Limits } | string {
  const value = headers.get(name);
  if (value === null) return `it has no ${name}`;
  const owner = Buffer.from(value, 'latin1').toString();
  return isOwner(owner) && !owner.includes('\ufffd') ? { owner, limits: NO_LIMITS } : `its ${name} is not a valid name`;
}

/** Describes a creation by its headers, as far as they can be read. Other code validates them later. */
function describeCreation({ headers }: IncomingMessage): UploadDescription {
  const { 'upload-length': length, 'upload-metadata': metadata } = headers;
  return { length: parseByteCount(String(length ?? '')) ?? null, metadata: metadataIn(String(metadata ?? '')) };
}

function describe(upload: Upload | { id: UploadId }): UploadDescription {
  if (!('state' in upload)) return upload;
  const { id, owner, state, originalName: name, claimedType: type, length } = upload;
  return { id, owner, state, name, type, length, metadata: storedMetadata(upload) };
}

function metadataIn(text: string): Record<string, string> {
  let metadata: Metadata;
  try {
    metadata = parseMetadata(text);
  } catch {
    return {};
  }
  return Object.fromEntries(metadata);
}

function errorOf({ status, detail, retryAfterSeconds, challenge }: Refusal): UploadError {
  return new UploadError(REFUSALS[status], {
    ...(detail !== undefined && { detail }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    ...(challenge !== undefined && { headers: { 'WWW-Authenticate': challenge } }),
  });
}

function unavailable(cause: unknown): UploadError {
  const { message } = cause instanceof Error ? cause : new Error(String(cause));
  return new UploadError('ERR_ACCESS_UNAVAILABLE', {
    cause: new Error(`The application of LANDFALL_ACCESS_URL gave no decision: ${message}`, { cause }),
    retryAfterSeconds: 5,
  });
}

function isSuccess({ status }: BoundedAnswer): boolean {
  return status >= 200 && status < 300;
}

function hasPassword(url: string): boolean {
  const { username = '', password = '' } = URL.parse(url) ?? {};
  return `${username}${password}` !== '';
}
