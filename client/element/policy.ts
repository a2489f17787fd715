// What the server accepts, known before anything is sent, so that a refusal costs seconds and not hours.
import { ERRORS, type ErrorCode, fromProblem, UploadError } from '../../shared/errors.ts';
import { checkLength, checkName, type Policy } from '../../shared/policy.ts';
import { areCounts, areTexts, fieldsOf, isObject } from '../json.ts';
import type { UploadHeaders } from '../options.ts';

/** What an `UploadError` says, or the policy before anything is sent. */
export interface Reason {
  readonly code: ErrorCode;
  readonly title: string;
  readonly detail?: string | undefined;
}

export interface ServerConfig {
  policy: Policy;
  /** Bytes; null for no limit. */
  maxUploadSize: number | null;
  /** Who shows nothing is nobody here: uploads will want a token. */
  signIn?: boolean;
  /** What was given to this sender, and what of it is left; absent where nothing was. */
  grant?: Grant;
}

export interface Grant {
  title?: string;
  /** ISO 8601. */
  endsAt?: string;
  uploadsLeft?: number;
  bytesLeft?: number;
}

/**
 * Undefined where the server does not tell or does not answer: then it judges alone, later.
 * @throws UploadError 401, 403 where the server refuses this sender
 */
export async function fetchConfig(url: string, headers: UploadHeaders, signal: AbortSignal): Promise<ServerConfig | undefined> {
  try {
    const response = await fetch(url, { signal, headers: { ...headers, Accept: 'application/json' } });
    const body: unknown = await response.json();
    if (response.ok) return isConfig(body) ? body : undefined;
    if (response.status === 401 || response.status === 403) throw fromProblem(body);
  } catch (error) {
    if (error instanceof UploadError) throw error;
  }
  return undefined;
}

function isConfig(value: unknown): value is ServerConfig {
  const { policy, maxUploadSize, grant } = fieldsOf(value);
  const { types, maxBytes } = fieldsOf(policy);
  return isObject(types) && areTexts(...Object.values(types)) && isLimit(maxUploadSize) && isLimit(maxBytes) && isGrant(grant ?? {});
}

function isGrant(value: unknown): boolean {
  const { title, endsAt, uploadsLeft, bytesLeft } = fieldsOf(value);
  return isObject(value) && areTexts(title ?? '', endsAt ?? '') && isLimit(uploadsLeft) && isLimit(bytesLeft);
}

/** Of a server that does not tell one, too. */
function isLimit(value: unknown): boolean {
  return areCounts(value ?? 0);
}

/** The largest file the server takes, in bytes. */
export function sizeLimit({ policy, maxUploadSize }: ServerConfig): number | null {
  const limits = [policy.maxBytes, maxUploadSize].filter((limit) => typeof limit === 'number' && limit > 0);
  return limits.length === 0 ? null : Math.min(...(limits as number[]));
}

/** Why this file would be refused; undefined where nothing speaks against it. */
export function refusalOf(config: ServerConfig | undefined, file: { name: string; size: number }): Reason | undefined {
  if (config === undefined) return undefined;
  const policy = { ...config.policy, maxBytes: sizeLimit(config) };
  const refusal = checkName(policy, file.name) ?? checkLength(policy, file.size);
  return refusal && { ...refusal, title: ERRORS[refusal.code].title };
}

/**
 * For the picker, and only where few kinds are accepted: there it opens the right album on a phone. A long list would only
 * grey files out without a reason, and hide those without an extension, which the server judges by their content.
 */
export function pickerAccept(config: ServerConfig | undefined): string | null {
  const extensions = Object.keys(config?.policy.types ?? {});
  return extensions.length > 0 && extensions.length <= 12 ? extensions.map((extension) => `.${extension}`).join(',') : null;
}
