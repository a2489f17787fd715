// An owner with limits, as applications write it: in the claim of a grant, and in an answer of LANDFALL_ACCESS_URL.
import { z } from 'zod';
import { schemaOf } from '../config/setting-kinds.ts';
import { ACTIONS, type Limits, LimitsSchema } from '../ledger/limits.ts';
import { isOwner } from './application.ts';

const count = z.number().int().nonnegative();
const bytes = schemaOf({ kind: 'size' }) as z.ZodType<number>;
const duration = schemaOf({ kind: 'duration' }) as z.ZodType<number>;

/** Strict, because a misspelt limit must not silently be no limit. */
const OwnerLimitsSchema = z.strictObject({
  owner: z.string().refine(isOwner, 'It is not a valid name.'),
  maxUploads: count.optional(),
  maxUploadSize: bytes.optional(),
  maxBytes: bytes.optional(),
  allow: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  actions: z.array(z.enum(ACTIONS)).optional(),
  keepFilesFor: duration.optional(),
});

/**
 * @param name what error texts call the value
 * @returns the owner and limits, or the mistake: `in “name.maxUploads”: …`
 */
export function parseOwnerLimits(given: unknown, name: string): { owner: string; limits: Limits } | string {
  const parsed = OwnerLimitsSchema.safeParse(given);
  if (!parsed.success) return faultIn(parsed.error, name);
  const { owner, maxUploadSize, keepFilesFor, ...rest } = parsed.data;
  const limits = LimitsSchema.safeParse({ ...rest, maxUploadBytes: maxUploadSize, keepFilesForMs: keepFilesFor });
  return limits.success ? { owner, limits: Object.freeze(limits.data) } : faultIn(limits.error, name);
}

function faultIn({ issues: [issue] }: z.ZodError, name: string): string {
  return `in “${[name, ...(issue?.path ?? [])].join('.')}”: ${issue?.message}`;
}
