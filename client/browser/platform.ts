import type { Platform } from '../ports.ts';
import { crc32 } from '../transfer/checksum.ts';
import { browserEnvironment } from './environment.ts';
import { browserTransport } from './http.ts';
import { browserLocks } from './locks.ts';
import { openChannel } from './optional-apis.ts';
import { browserStore } from './store.ts';

const MIB = 1024 * 1024;

interface WithYield {
  scheduler?: { yield?: () => Promise<void> };
}

/** Resolves after the browser had time to draw and to handle input. */
export async function yieldToPage(): Promise<void> {
  // A hidden page needs no drawing, and its timers run at most once a second.
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
  environment: browserEnvironment,
  chunks: { startBytes: 8 * MIB, minBytes: MIB, maxBytes: 32 * MIB, wholeBody: false },
  budgetMs: 10 * 60_000,
  get baseUrl() {
    // During server-side rendering nothing is sent, so any base works.
    return typeof document === 'undefined' ? (globalThis.location?.href ?? 'http://localhost/') : document.baseURI;
  },
  crc32,
  yieldToPage,
};
