// One tab sends a file, others that were given the same one wait for its lock; meanwhile they show how far it is.
import { areCounts, areTexts, fieldsOf } from '../json.ts';
import type { Channels } from '../ports.ts';
import type { UploadSnapshot } from './snapshot.ts';

/** How far whoever holds the lock is. */
export interface Progress extends Pick<UploadSnapshot, 'sent' | 'confirmed'> {
  readonly url?: string | undefined;
}

type Subscribe = (listener: (snapshot: UploadSnapshot) => void) => () => void;

/** Tells whoever follows. Between the tabs of one origin, and the handles of one process; processes only wait for each other. */
export function tellFollowers(channels: Channels, lockName: string, subscribe: Subscribe): () => void {
  const channel = channels.open(nameOf(lockName));
  if (channel === undefined) return () => {};
  const stop = subscribe(({ sent, confirmed, url }) =>
    channel.postMessage({ sent, confirmed, url: url ?? undefined } satisfies Record<keyof Progress, unknown>),
  );
  return () => {
    stop();
    channel.close();
  };
}

export function follow(channels: Channels, lockName: string, listener: (progress: Progress) => void): () => void {
  const channel = channels.open(nameOf(lockName));
  // The page of the other tab may be of another version.
  channel?.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (isProgress(data)) listener(data);
  });
  return () => channel?.close();
}

function isProgress(value: unknown): value is Progress {
  const { sent, confirmed, url } = fieldsOf(value);
  return areCounts(sent, confirmed) && areTexts(url ?? '');
}

const nameOf = (lockName: string) => `landfall:${lockName}`;
