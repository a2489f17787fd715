// The limits of an identity. They are copied into the row of each upload that the identity creates and hold until that upload's end.
import { z } from 'zod';
import { formatMetadata, parseMetadata } from '../../shared/metadata.ts';
import { narrowPolicy, type Policy, parsePolicy } from '../../shared/policy.ts';
import { LONGEST_DURATION_MS } from '../../shared/units.ts';

/** What a sender may do. `create` includes appending to one's own uploads and asking for their verdicts. */
export const ACTIONS = ['create', 'download', 'terminate'] as const;
/** `create` (and send) uploads, `download` accepted files, `terminate` (cancel) unfinished uploads. */
export type Action = (typeof ACTIONS)[number];

/**
 * What one sender may do, within the server's own settings. An absent limit restricts nothing.
 *
 * @example
 * ```ts
 * import type { Limits } from 'landfall-server';
 *
 * const guest: Limits = { allow: 'images', maxUploadBytes: 20_000_000, maxUploads: 10, actions: ['create'] };
 * ```
 */
export interface Limits {
  /** The file types to accept, as in `LANDFALL_ALLOW`, among those that the server accepts. @default all of them */
  readonly allow?: string | undefined;
  /** Largest file, in bytes. @default the setting `maxUploadSize` */
  readonly maxUploadBytes?: number | undefined;
  /** Number of uploads in total; refused and cancelled ones do not count. @default no limit */
  readonly maxUploads?: number | undefined;
  /** Bytes of all these uploads together. @default no limit */
  readonly maxBytes?: number | undefined;
  /** Metadata that replaces the sender's own values under these keys. @default {} */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** The actions that the sender may take. @default all of them */
  readonly actions?: readonly Action[] | undefined;
  /** Milliseconds after which an accepted file is removed: rounded, and at most 1,000,000 days. @default never */
  readonly keepFilesForMs?: number | undefined;
}

const count = z.number().int().nonnegative();
/** Whole milliseconds, and few enough that the time of the removal is a date. */
const duration = z
  .number()
  .nonnegative()
  .transform((ms) => Math.min(Math.round(ms), LONGEST_DURATION_MS));

/** Strict: a misspelt limit must be an error, not a missing limit. */
export const LimitsSchema: z.ZodType<Limits> = z.strictObject({
  allow: z.string().refine(isAllowed, 'It is not a list in the form of LANDFALL_ALLOW.').optional(),
  maxUploadBytes: count.optional(),
  maxUploads: count.optional(),
  maxBytes: count.optional(),
  metadata: z.record(z.string(), z.string()).refine(isMetadata, 'It has a key or a value that uploads cannot have.').optional(),
  actions: z.array(z.enum(ACTIONS)).readonly().optional(),
  keepFilesForMs: duration.optional(),
});

/** The server sends metadata in a header, so it must survive that encoding. */
function isMetadata(pairs: Readonly<Record<string, string>>): boolean {
  try {
    const read = parseMetadata(formatMetadata(new Map(Object.entries(pairs))));
    return Object.entries(pairs).every(([key, value]) => read.get(key) === value);
  } catch {
    return false;
  }
}

function isAllowed(text: string): boolean {
  try {
    return parsePolicy(text) !== undefined;
  } catch {
    return false;
  }
}

export const NO_LIMITS: Limits = Object.freeze({});

/** An upload's owner, quotas and limits, all fixed at its creation. */
export interface Grantee {
  /** Empty: the upload belongs to everyone. */
  owner: string;
  /** How the sender was authenticated: `anonymous`, `application`, `key`, `jwt`, `grant`, `link`, `url`. */
  source: string;
  /** Scope that counts the credential's uses: `grant:ID`, `key:ID`, `link:ID`, `application:OWNER`, `url:OWNER`; null: not counted. */
  credential: string | null;
  /** Scope that counts the sender's uploads: `owner:NAME`, or `address:IP` of an anonymous sender; empty: not counted. */
  quota: string;
  limits: Limits;
}

/** The scope that counts an owner's uploads. */
export function quotaOfOwner(owner: string): string {
  return `owner:${owner}`;
}

/**
 * The scope that counts the uses of an owner whom the application named together with a limit of uses; null without such a limit.
 * Each source has its own scope.
 */
export function credentialOfOwner(source: 'application' | 'url', owner: string, { maxUploads, maxBytes }: Limits): string | null {
  return maxUploads === undefined && maxBytes === undefined ? null : `${source}:${owner}`;
}

const read = new Map<string, Limits>();

/** The limits in an upload's row. @throws ZodError when they do not match the schema, which no row that Landfall wrote does */
export function limitsOf({ limits }: { limits: string }): Limits {
  if (limits === '{}') return NO_LIMITS;
  let parsed = read.get(limits);
  if (parsed === undefined) {
    parsed = Object.freeze(LimitsSchema.parse(JSON.parse(limits)));
    // Usually there are few different limits. The bound keeps senders with ever new limits from filling the memory.
    if (read.size >= 1000) read.clear();
    read.set(limits, parsed);
  }
  return parsed;
}

/** The policy for each upload: the server's policy, narrowed by the limits of the upload's sender. */
export class Policies {
  /** The server's policy. */
  readonly all: Policy;
  readonly #narrowed = new WeakMap<Limits, Policy>();

  constructor(all: Policy) {
    this.all = all;
  }

  within(limits: Limits): Policy {
    const { allow, maxUploadBytes: maxBytes } = limits;
    if (allow === undefined && maxBytes === undefined) return this.all;
    let policy = this.#narrowed.get(limits);
    if (policy === undefined) {
      policy = narrowPolicy(this.all, { allow, maxBytes });
      this.#narrowed.set(limits, policy);
    }
    return policy;
  }

  of(upload: { limits: string }): Policy {
    return this.within(limitsOf(upload));
  }
}

/** The most bytes that an upload may have. */
export function maxBytesOf(upload: { limits: string }, maxUploadBytes: number): number {
  return Math.min(maxUploadBytes, limitsOf(upload).maxUploadBytes ?? maxUploadBytes);
}
