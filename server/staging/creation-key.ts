// Idempotency keys: each names one creation and no other.
import { hash } from 'node:crypto';
import type { Metadata } from '../../shared/metadata.ts';

/** The owner of all anonymous uploads. */
const ANONYMOUS = '';

/** The hash of a creation's length and metadata, whatever the order of the metadata: a repeated creation has the same fingerprint. */
export function fingerprintOf(length: number | null, metadata: Metadata): string {
  const pairs = [...metadata].sort(([a], [b]) => (a < b ? -1 : 1));
  return hash('sha256', JSON.stringify([length, pairs]), 'hex');
}

/** The identity that uses a key. */
export interface KeyHolder {
  owner: string;
  credential: string | null;
  /** True for a guest, who must not learn of other uploads of the owner. */
  isConfined: boolean;
}

/**
 * The keys that the row of an earlier creation may have; a new row gets the first one. A key belongs to its owner, and a guest's key to
 * the guest's credential. For the anonymous owner the key belongs to the creation's fingerprint, so that strangers with the same key
 * get an upload each.
 */
export function storedKeys({ owner, credential, isConfined }: KeyHolder, key: string, fingerprint: string): [string, ...string[]] {
  // No client's own key equals this one, because a key that a client sends has no space in it.
  if (isConfined) return [`${credential} ${key}`];
  // Rows that were added before Landfall had fingerprints have the key alone.
  return owner === ANONYMOUS ? [`${fingerprint} ${key}`, key] : [key];
}
