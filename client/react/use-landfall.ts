'use client';
// Uploads in a React component: the queue's snapshots are stable, so they are what `useSyncExternalStore` asks for.
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { createQueue, type QueueOptions, type QueueSnapshot, type UploadQueue, type UploadSource } from '../index.ts';

export interface LandfallUploads extends QueueSnapshot {
  /** To add files, to stop and go on, to change the order. The same object in every render. */
  readonly queue: UploadQueue<UploadSource>;
}

/**
 * A queue that lives with the component. Unmounting pauses it; the same files go on from where they were when they are added
 * again. For uploads that outlive a component, keep a queue outside of it and show that with `useQueue`.
 *
 * @param options read at the first render only: give headers that change as a function
 * @throws TypeError as `createQueue`
 */
export function useLandfall(options: QueueOptions): LandfallUploads {
  const [queue] = useState(() => createQueue(options));
  useEffect(() => {
    // React may take a component away and bring the same one back: its strict mode does at once.
    queue.resume();
    return () => queue.pause();
  }, [queue]);
  return { ...useQueue(queue), queue };
}

/** Renders again whenever the queue changes: at each change of state, and ten times a second while bytes move. */
export function useQueue<Source>(queue: UploadQueue<Source>): QueueSnapshot {
  const store = useMemo(
    () => ({ subscribe: (listener: () => void) => queue.subscribe(listener), snapshot: () => queue.snapshot }),
    [queue],
  );
  return useSyncExternalStore(store.subscribe, store.snapshot, store.snapshot);
}
