// What an idempotency key stands for: one creation, and no other.
import { createHash } from 'node:crypto';
import type { Metadata } from '../../shared/metadata.ts';

/** What all senders are who show nothing to be told apart by. */
const ANONYMOUS = '';

/** Of what a creation asks for, its body aside: the same for a creation that is repeated, in whatever order its metadata comes. */
export function fingerprintOf(length: number | null, metadata: Metadata): string {
  const pairs = [...metadata].sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash('sha256')
    .update(JSON.stringify([length, pairs]))
    .digest('hex');
}

/** Whose key it is. */
export interface KeyHolder {
  owner: string;
  credential: string | null;
  /** A guest, who is told nothing of what his owner's others sent. */
  isConfined: boolean;
}

/**
 * The keys that the row of an earlier creation may have, the first of them for a new one. A key belongs to its owner; that of a guest to
 * what he was let in by. Where everybody is the same owner it belongs to the creation, too: strangers who chose the same key have an
 * upload each.
 */
export function storedKeys({ owner, credential, isConfined }: KeyHolder, key: string, fingerprint: string): [string, ...string[]] {
  // No key that is sent has a space in it.
  if (isConfined) return [`${credential} ${key}`];
  // By itself in rows that were written before there were fingerprints.
  return owner === ANONYMOUS ? [`${fingerprint} ${key}`, key] : [key];
}
