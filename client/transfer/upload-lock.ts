import { UploadError } from '../../shared/errors.ts';
import { onSharedProgress, shareProgress } from '../handle/shared-progress.ts';
import type { Tracker } from '../handle/tracker.ts';
import type { Platform } from '../ports.ts';
import type { Journal } from '../resume/journal.ts';

/**
 * The lock of one upload among the tabs and processes that have its resume record. Only its holder sends the file, and writes or removes
 * the record. While it is held, the progress is shared with those that wait for it.
 */
export class UploadLock {
  readonly #platform: Pick<Platform, 'locks' | 'channels'>;
  readonly #tracker: Tracker;
  #release: (() => void) | undefined;

  constructor(platform: Pick<Platform, 'locks' | 'channels'>, tracker: Tracker) {
    this.#platform = platform;
    this.#tracker = tracker;
  }

  /** False, too, for an upload that no other tab or process can see. */
  get isHeld(): boolean {
    return this.#release !== undefined;
  }

  /** Resolves when no other tab or process sends this file, with the record loaded. @throws UploadError, or the reason of the signal */
  async take(journal: Journal, signal: AbortSignal): Promise<void> {
    const { lockName, progressName } = journal;
    if (lockName === undefined) return;
    const tracker = this.#tracker;
    const { locks, channels } = this.#platform;
    // Loaded before, too: a holder that ends the upload removes the record, and the address that it had tells the verdict.
    await journal.load();
    let unsubscribe = () => {};
    const onWaiting = () => {
      unsubscribe = onSharedProgress(channels, progressName, (progress) => {
        if (progress.url !== undefined) journal.follow(progress.url);
        tracker.showShared(progress);
      });
      tracker.transition({ state: 'waiting', waiting: { reason: 'elsewhere' } });
    };
    const release = await locks.acquire(lockName, signal, onWaiting).finally(() => unsubscribe());
    const stopSharing = shareProgress(channels, progressName, (listener) => tracker.subscribe(listener));
    this.#release = () => {
      stopSharing();
      release();
    };
    if (await journal.load()) return;
    await journal.remove();
    throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'Upload it again to start over.' });
  }

  /**
   * Takes the lock, and loads the record, to discard the upload. Returns false when the upload, if there is one, is that of another tab or
   * process, or of another file.
   */
  async takeIfFree(journal: Journal): Promise<boolean> {
    const { lockName } = journal;
    if (this.isHeld || lockName === undefined) return true;
    const taken = new AbortController();
    try {
      this.#release = await this.#platform.locks.acquire(lockName, taken.signal, () => taken.abort());
    } catch {
      return false;
    }
    return (await journal.load()) && !journal.hasVanished;
  }

  release(): void {
    this.#release?.();
    this.#release = undefined;
  }
}
