import { crc32 } from 'node:zlib';
import type { Channel, Platform, PlatformEnvironment } from '../ports.ts';
import type { ResumeStore } from '../resume/store.ts';
import { nodeTransport } from './http.ts';
import { nodeLocks } from './locks.ts';
import { nodeStore, stateDirectory } from './store.ts';

const MIB = 1024 * 1024;

/** Node reports no network changes. */
const environment: PlatformEnvironment = {
  isOnline: () => true,
  onWake: () => () => {},
  onNetworkChange: () => () => {},
  guardPage: () => () => {},
};

function openChannel(name: string): Channel {
  // TypeScript's type is that of browsers, whose channels have no `unref`.
  const channel: Channel & { unref?(): void } = new BroadcastChannel(name);
  // A channel does not keep a process running.
  channel.unref?.();
  return channel;
}

/** Made at its first use, since a user without a home directory has none. */
let store: ResumeStore | undefined;

export const nodePlatform: Platform = {
  transport: nodeTransport(),
  get store() {
    store ??= nodeStore(stateDirectory());
    return store;
  },
  locks: nodeLocks,
  channels: { open: openChannel },
  environment,
  chunks: { startBytes: 8 * MIB, minBytes: MIB, maxBytes: 32 * MIB, wholeBody: true },
  budgetMs: 30 * 60_000,
  baseUrl: undefined,
  crc32,
  yieldToPage: undefined,
};
