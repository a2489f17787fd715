import { crc32 } from 'node:zlib';
import type { Channel, Platform, Surroundings } from '../ports.ts';
import { nodeTransport } from './http.ts';
import { nodeLocks } from './locks.ts';
import { nodeStore, stateDirectory } from './store.ts';

const MIB = 1024 * 1024;

/** Node is told nothing of the network's coming and going. */
const surroundings: Surroundings = { isOnline: () => true, onWake: () => () => {}, onNetwork: () => () => {}, hold: () => () => {} };

function openChannel(name: string): Channel {
  // The types are those of browsers, whose channels have no such thing.
  const channel: Channel & { unref?(): void } = new BroadcastChannel(name);
  // A channel does not keep a process running.
  channel.unref?.();
  return channel;
}

export const nodePlatform: Platform = {
  transport: nodeTransport(),
  store: nodeStore(stateDirectory()),
  locks: nodeLocks,
  channels: { open: openChannel },
  surroundings,
  chunks: { startBytes: 8 * MIB, minBytes: MIB, maxBytes: 32 * MIB, wholeBody: true },
  budgetMs: 30 * 60_000,
  baseUrl: undefined,
  crc32,
  breathe: undefined,
};
