import type { UploadState } from './snapshot.ts';

/** Every move there is. What is not here does not happen: a late answer to a cancelled upload changes nothing. */
export const MOVES: Readonly<Record<UploadState, readonly UploadState[]>> = {
  queued: ['preparing', 'paused', 'failed', 'cancelled'],
  preparing: ['uploading', 'waiting', 'inspecting', 'paused', 'accepted', 'rejected', 'failed', 'cancelled'],
  uploading: ['preparing', 'waiting', 'inspecting', 'paused', 'accepted', 'rejected', 'failed', 'cancelled'],
  waiting: ['preparing', 'paused', 'failed', 'cancelled'],
  // To go on takes a turn in the queue again.
  paused: ['queued', 'preparing', 'cancelled'],
  // Back to `uploading` when the server could not prove that it has every byte.
  inspecting: ['preparing', 'uploading', 'waiting', 'paused', 'accepted', 'rejected', 'failed', 'cancelled'],
  accepted: [],
  rejected: [],
  failed: [],
  cancelled: [],
};

export function canMove(from: UploadState, to: UploadState): boolean {
  return MOVES[from].includes(to);
}

/** Nothing follows. */
export function isOver(state: UploadState): boolean {
  return MOVES[state].length === 0;
}
