'use client';
// React hooks. The queue returns the same snapshot until something changes, as `useSyncExternalStore` requires.
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
  /** To add, pause, resume and reorder uploads. The same object in every render. */
  readonly queue: UploadQueue<UploadSource>;
}

/**
 * Creates a queue that lives as long as the component. Unmounting pauses the queue; adding the same files again resumes them. For
 * uploads that outlive a component, create a queue outside and show it with `useQueue`.
 *
 * @param options used at the first render only, so headers that change must be a function
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
    // React may unmount a component and mount it again; its strict mode does so immediately.
    queue.resume();
    return () => queue.pause();
  }, [queue]);
  return { ...useQueue(queue), queue };
}

/**
 * Shows a queue that was created outside of the component. The component renders after each change of state, and for progress at
 * most ten times a second.
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
