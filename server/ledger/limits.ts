// What an identity was given. It is copied into the row of each upload it creates: what was given for an upload holds until its end.
import { z } from 'zod';
import { formatMetadata, parseMetadata } from '../../shared/metadata.ts';
import { narrowPolicy, type Policy, parsePolicy } from '../../shared/policy.ts';

/** What a sender can be allowed besides sending: `create` goes with appending to one's own uploads and asking for their verdicts. */
export const ACTIONS = ['create', 'download', 'terminate'] as const;
export type Action = (typeof ACTIONS)[number];

/** As it is stored; what is absent is not limited beyond the server's own settings. */
export interface Limits {
  /** As `LANDFALL_ALLOW`: what of the server's policy is taken. */
  readonly allow?: string | undefined;
  /** Bytes of the largest file. */
  readonly maxUploadBytes?: number | undefined;
  /** How many uploads in all, refused and cancelled ones not counted. */
  readonly maxUploads?: number | undefined;
  /** Bytes of all of them. */
  readonly maxBytes?: number | undefined;
  /** Put in place of whatever the sender says under these keys. */
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Absent: all. */
  readonly actions?: readonly Action[] | undefined;
  /** After so long an accepted file is removed, in milliseconds. */
  readonly keepFilesForMs?: number | undefined;
}

const count = z.number().int().nonnegative();

/** Nothing else may be in it: a limit that is misspelt must not be a missing limit. */
export const LimitsSchema: z.ZodType<Limits> = z.strictObject({
  allow: z.string().refine(isAllowed, 'It is not a list as in LANDFALL_ALLOW.').optional(),
  maxUploadBytes: count.optional(),
  maxUploads: count.optional(),
  maxBytes: count.optional(),
  metadata: z.record(z.string(), z.string()).refine(isMetadata, 'There is a key or a value that uploads can not have.').optional(),
  actions: z.array(z.enum(ACTIONS)).readonly().optional(),
  keepFilesForMs: count.optional(),
});

/** It goes out in a header again. */
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

/** Whose upload it is, what it counts against, and within which limits: decided at its creation. */
export interface Grantee {
  /** Empty: everyone's. */
  owner: string;
  /** How the sender was known: `anonymous`, `application`, `key`, `jwt`, `grant`, `link`, `url`. */
  source: string;
  /** What its uses are counted by, where they are: `grant:ID`, `key:ID`, `link:ID`, `application:OWNER`, `url:OWNER`. */
  credential: string | null;
  /** What is counted together: `owner:NAME`, or `address:IP` of an anonymous sender; empty: not counted. */
  quota: string;
  limits: Limits;
}

/** What an owner's uploads are counted under. */
export function quotaOfOwner(owner: string): string {
  return `owner:${owner}`;
}

/**
 * What the uses of an owner are counted under whom an application named, and for whom it named how many there may be; null:
 * they are not counted. Each source counts by itself.
 */
export function credentialOfOwner(source: 'application' | 'url', owner: string, { maxUploads, maxBytes }: Limits): string | null {
  return maxUploads === undefined && maxBytes === undefined ? null : `${source}:${owner}`;
}

const read = new Map<string, Limits>();

/** Of a row. @throws what the schema says of limits that nobody of ours wrote */
export function limitsOf({ limits }: { limits: string }): Limits {
  if (limits === '{}') return NO_LIMITS;
  let parsed = read.get(limits);
  if (parsed === undefined) {
    parsed = Object.freeze(LimitsSchema.parse(JSON.parse(limits)));
    // As many as there are kinds of senders; whoever makes up new ones does not fill the memory.
    if (read.size >= 1000) read.clear();
    read.set(limits, parsed);
  }
  return parsed;
}

/** What is allowed, for each upload: the server's policy, within the limits of its sender. */
export class Policies {
  /** Without limits. */
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

/** Bytes that an upload may have. */
export function maxBytesOf(upload: { limits: string }, maxUploadBytes: number): number {
  return Math.min(maxUploadBytes, limitsOf(upload).maxUploadBytes ?? maxUploadBytes);
}
