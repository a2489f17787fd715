// Only one tab sends a file. Other tabs with the same file wait for its lock, and meanwhile show the progress of the sending tab.
import { areCounts, areTexts, fieldsOf } from '../json.ts';
import type { Channels } from '../ports.ts';
import type { UploadSnapshot } from './snapshot.ts';

/** Progress of the tab that holds the lock. */
export interface SharedProgress extends Pick<UploadSnapshot, 'sent' | 'confirmed'> {
  readonly url?: string | undefined;
}

type Subscribe = (listener: (snapshot: UploadSnapshot) => void) => () => void;

/** Sends progress to the tabs of this origin, and to the handles of this process. Other processes do not receive it. */
export function shareProgress(channels: Channels, name: string, subscribe: Subscribe): () => void {
  const channel = channels.open(channelName(name));
  if (channel === undefined) return () => {};
  const stop = subscribe(({ sent, confirmed, url }) =>
    channel.postMessage({ sent, confirmed, url: url ?? undefined } satisfies Record<keyof SharedProgress, unknown>),
  );
  return () => {
    stop();
    channel.close();
  };
}

export function onSharedProgress(channels: Channels, name: string, listener: (progress: SharedProgress) => void): () => void {
  const channel = channels.open(channelName(name));
  // The page in the other tab may have another version of the client.
  channel?.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (isSharedProgress(data)) listener(data);
  });
  return () => channel?.close();
}

function isSharedProgress(value: unknown): value is SharedProgress {
  const { sent, confirmed, url } = fieldsOf(value);
  return areCounts(sent, confirmed) && areTexts(url ?? '');
}

const channelName = (name: string) => `landfall:${name}`;
