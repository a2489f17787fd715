import { EventEmitter } from 'node:events';
import type { Notices } from './notices.ts';
import type { Upload } from './upload.ts';
import type { UploadId } from './upload-id.ts';

/** Who waits for an upload to change its state, and what they hear: of this process at once, of others when they tell. */
export class StateChanges {
  readonly #read: (id: UploadId) => Promise<Upload | undefined>;
  readonly #notices: Notices | undefined;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #any = new Set<() => void>();

  /** @param notices where other processes change rows, too */
  constructor(read: (id: UploadId) => Promise<Upload | undefined>, notices: Notices | undefined) {
    this.#read = read;
    this.#notices = notices;
    notices?.on('state', (id) => this.#lookAgain(id));
    notices?.on('state', () => this.#tellAny());
    notices?.onGap(() => {
      for (const id of this.#changes.eventNames()) this.#lookAgain(id as UploadId);
    });
  }

  /** Calls back with the row after each change of this upload's state. Returns how to stop. */
  on(id: UploadId, listener: (upload: Upload) => void): () => void {
    this.#changes.on(id, listener);
    return () => this.#changes.off(id, listener);
  }

  /** Calls back after a change of any upload's state. Returns how to stop. */
  onAny(listener: () => void): () => void {
    this.#any.add(listener);
    return () => this.#any.delete(listener);
  }

  /** After the change is durable. */
  tell(upload: Upload): void {
    this.#changes.emit(upload.id, upload);
    this.#tellAny();
    this.#notices?.tell('state', upload.id);
  }

  #tellAny(): void {
    for (const listener of this.#any) listener();
  }

  /** Another process has changed it, or may have. */
  #lookAgain(id: UploadId): void {
    if (this.#changes.listenerCount(id) === 0) return;
    // Whoever waits has a time limit, and looks for himself at its end.
    this.#read(id).then(
      (upload) => {
        if (upload && upload.state !== 'receiving') this.#changes.emit(id, upload);
      },
      () => undefined,
    );
  }
}
