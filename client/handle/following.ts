// One tab sends a file, others that were given the same one wait for its lock; meanwhile they show how far it is.
import type { UploadSnapshot } from './snapshot.ts';

/** How far whoever holds the lock is. */
export type Progress = Pick<UploadSnapshot, 'sent' | 'confirmed' | 'url'>;

/** Node keeps a process for an open channel unless told not to. */
type Channel = BroadcastChannel & { unref?(): void };

/** Tells whoever follows. Between the tabs of one origin, and the handles of one process; processes only wait for each other. */
export function tellFollowers(lockName: string, subscribe: (listener: (snapshot: UploadSnapshot) => void) => () => void): () => void {
  const channel = open(lockName);
  if (channel === undefined) return () => {};
  const stop = subscribe(({ sent, confirmed, url }) =>
    channel.postMessage({ sent, confirmed, url } satisfies Record<keyof Progress, unknown>),
  );
  return () => {
    stop();
    channel.close();
  };
}

export function follow(lockName: string, listener: (progress: Progress) => void): () => void {
  const channel = open(lockName);
  channel?.addEventListener('message', ({ data }: MessageEvent<Progress>) => listener(data));
  return () => channel?.close();
}

function open(lockName: string): Channel | undefined {
  if (typeof BroadcastChannel === 'undefined') return undefined;
  const channel: Channel = new BroadcastChannel(`landfall:${lockName}`);
  channel.unref?.();
  return channel;
}
