import type { UploadState } from './snapshot.ts';

/** All allowed transitions. Any other is ignored, such as that of a late response to a cancelled upload. */
export const TRANSITIONS: Readonly<Record<UploadState, readonly UploadState[]>> = {
  queued: ['preparing', 'paused', 'failed', 'cancelled'],
  preparing: ['uploading', 'waiting', 'inspecting', 'paused', 'accepted', 'rejected', 'failed', 'cancelled'],
  uploading: ['preparing', 'waiting', 'inspecting', 'paused', 'accepted', 'rejected', 'failed', 'cancelled'],
  waiting: ['preparing', 'paused', 'failed', 'cancelled'],
  // A resumed upload waits for its turn in the queue again.
  paused: ['queued', 'preparing', 'cancelled'],
  // Back to `uploading` when the server could not prove that every byte is durable.
  inspecting: ['preparing', 'uploading', 'waiting', 'paused', 'accepted', 'rejected', 'failed', 'cancelled'],
  accepted: [],
  rejected: [],
  failed: [],
  cancelled: [],
};

export function canTransition(from: UploadState, to: UploadState): boolean {
  return TRANSITIONS[from].includes(to);
}

/** No state follows this one. */
export function isFinal(state: UploadState): boolean {
  return TRANSITIONS[state].length === 0;
}
