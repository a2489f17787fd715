import { browserTransport } from './browser-http.ts';
import { browserLocks } from './browser-locks.ts';
import { browserStore } from './browser-store.ts';
import { browserSurroundings } from './browser-surroundings.ts';
import { crc32 } from './checksum.ts';
import type { Platform } from './ports.ts';

const MIB = 1024 * 1024;

export const browserPlatform: Platform = {
  transport: browserTransport,
  store: browserStore,
  locks: browserLocks,
  surroundings: browserSurroundings,
  chunks: { startBytes: 8 * MIB, minBytes: MIB, maxBytes: 32 * MIB, wholeBody: false },
  budgetMs: 10 * 60_000,
  get baseUrl() {
    return typeof document === 'undefined' ? globalThis.location?.href : document.baseURI;
  },
  crc32,
};
