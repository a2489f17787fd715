import type { Platform } from '../ports.ts';
import { crc32 } from '../transfer/checksum.ts';
import { browserTransport } from './http.ts';
import { browserLocks } from './locks.ts';
import { openChannel } from './optional-apis.ts';
import { browserStore } from './store.ts';
import { browserSurroundings } from './surroundings.ts';

const MIB = 1024 * 1024;

interface WithYield {
  scheduler?: { yield?: () => Promise<void> };
}

/** Lets the page be drawn and used before it goes on. */
export async function breathe(): Promise<void> {
  // Nobody looks, and timers of a hidden page come once a second at best.
  if (typeof document === 'undefined' || document.visibilityState === 'hidden') return;
  const { scheduler } = globalThis as WithYield;
  if (scheduler?.yield) await scheduler.yield();
  else await new Promise((resolve) => setTimeout(resolve));
}

export const browserPlatform: Platform = {
  transport: browserTransport,
  store: browserStore,
  locks: browserLocks,
  channels: { open: openChannel },
  surroundings: browserSurroundings,
  chunks: { startBytes: 8 * MIB, minBytes: MIB, maxBytes: 32 * MIB, wholeBody: false },
  budgetMs: 10 * 60_000,
  get baseUrl() {
    // Where a page is rendered on a server nothing is sent, so any will do.
    return typeof document === 'undefined' ? (globalThis.location?.href ?? 'http://localhost/') : document.baseURI;
  },
  crc32,
  breathe,
};
