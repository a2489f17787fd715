'use client';
// Uploads in a React component: the queue's snapshots are stable, so they are what `useSyncExternalStore` asks for.
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { createQueue, type QueueOptions, type QueueSnapshot, type UploadQueue, type UploadSource } from '../index.ts';

/**
 * What `useLandfall` returns: the snapshot of its queue, and the queue.
 *
 * @example
 * ```ts
 * import type { LandfallUploads } from 'landfall/react';
 *
 * const pauseAll = ({ queue, isIdle }: LandfallUploads) => !isIdle && queue.pause();
 * ```
 */
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
 *
 * @example
 * ```tsx
 * import { useLandfall } from 'landfall/react';
 *
 * export function Uploads() {
 *   const { uploads, queue } = useLandfall({ endpoint: '/files' });
 *   return (
 *     <>
 *       <input type="file" multiple onChange={({ target }) => [...(target.files ?? [])].map((each) => queue.add(each))} />
 *       {uploads.map(({ id, name, state }) => (
 *         <p key={id}>
 *           {name}: {state}
 *         </p>
 *       ))}
 *     </>
 *   );
 * }
 * ```
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

/**
 * Shows a queue that lives outside of the component. It renders again at each change of state, and ten times a second at most while
 * bytes move.
 *
 * @example
 * ```tsx
 * import { createQueue } from 'landfall';
 * import { useQueue } from 'landfall/react';
 *
 * const queue = createQueue({ endpoint: '/files' });
 *
 * export function Total() {
 *   const { sent, size } = useQueue(queue);
 *   return <progress value={sent} max={size || 1} />;
 * }
 * ```
 */
export function useQueue<Source>(queue: UploadQueue<Source>): QueueSnapshot {
  const store = useMemo(
    () => ({ subscribe: (listener: () => void) => queue.subscribe(listener), snapshot: () => queue.snapshot }),
    [queue],
  );
  return useSyncExternalStore(store.subscribe, store.snapshot, store.snapshot);
}
