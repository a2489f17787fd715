// The server's policy, loaded before anything is sent, so that a refused file costs seconds instead of hours.
import { ERRORS, type ErrorCode, fromProblem, UploadError } from '../../shared/errors.ts';
import { checkLength, checkName, type Policy } from '../../shared/policy.ts';
import { areCounts, areTexts, fieldsOf, isObject } from '../json.ts';
import type { UploadHeaders } from '../options.ts';

/** Why a file is refused: by the policy before anything is sent, or by an `UploadError`. */
export interface Reason {
  readonly code: ErrorCode;
  readonly title: string;
  readonly detail?: string | undefined;
}

export interface ServerConfig {
  policy: Policy;
  /** Bytes; null for no limit. */
  maxUploadSize: number | null;
  /** The server requires a token, and this request had none. */
  signIn?: boolean;
  /** What this sender's token grants, and what is left of it; absent without a grant. */
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
 * Undefined when the server has no config or does not answer; it then checks the files itself, later.
 * @throws UploadError 401 or 403 when the server refuses this sender
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

/** A limit may be absent. */
function isLimit(value: unknown): boolean {
  return areCounts(value ?? 0);
}

/** Size of the largest file that the server accepts, in bytes; null for no limit. */
export function sizeLimit({ policy, maxUploadSize }: ServerConfig): number | null {
  const limits = [policy.maxBytes, maxUploadSize].filter((limit) => typeof limit === 'number' && limit > 0);
  return limits.length === 0 ? null : Math.min(...(limits as number[]));
}

/** Why the server would refuse this file; undefined when its name and size are accepted. */
export function refusalOf(config: ServerConfig | undefined, file: { name: string; size: number }): Reason | undefined {
  if (config === undefined) return undefined;
  const policy = { ...config.policy, maxBytes: sizeLimit(config) };
  const refusal = checkName(policy, file.name) ?? checkLength(policy, file.size);
  return refusal && { ...refusal, title: ERRORS[refusal.code].title };
}

/**
 * The picker's `accept`, if few kinds of files are accepted: a phone then opens the right album. With a long list, the picker would
 * disable files without a reason, and hide files without an extension, which the server judges by their content.
 */
export function pickerAccept(config: ServerConfig | undefined): string | null {
  const extensions = Object.keys(config?.policy.types ?? {});
  return extensions.length > 0 && extensions.length <= 12 ? extensions.map((extension) => `.${extension}`).join(',') : null;
}
