import { TUS_VERSION } from '../../shared/protocol.ts';
import { browserStore } from '../browser-store.ts';
import type { QueueOptions } from '../options.ts';
import type { ResumeRecord } from '../resume-store.ts';

/**
 * Drops what an earlier visit left: the record here at once, and the bytes on the server if it can be asked now. Otherwise
 * they expire there by themselves, so nobody is told of a failure.
 */
export async function forget({ key, url }: ResumeRecord, { store = browserStore, headers, withCredentials }: QueueOptions): Promise<void> {
  await store.remove(key).catch(() => undefined);
  if (url === null) return;
  try {
    const own = typeof headers === 'function' ? await headers({ method: 'DELETE', url, reason: 'request' }) : headers;
    const credentials = withCredentials ? 'include' : 'same-origin';
    await fetch(url, { method: 'DELETE', credentials, headers: { ...own, 'Tus-Resumable': TUS_VERSION } });
  } catch {
    // Said above.
  }
}

/** Keys of the records whose uploads another tab is sending at this moment. */
export async function keysInUse(records: readonly ResumeRecord[]): Promise<ReadonlySet<string>> {
  // No Web Locks on plain http.
  const held = 'locks' in navigator && navigator.locks ? ((await navigator.locks.query().catch(() => undefined))?.held ?? []) : [];
  return new Set(records.map(({ key }) => key).filter((key) => held.some(({ name }) => name?.endsWith(key))));
}
