import { EventEmitter } from 'node:events';
import type { Notices } from './notices.ts';
import type { Upload } from './upload.ts';
import type { UploadId } from './upload-id.ts';

/** Listeners for changes of uploads' states. Changes of this process reach them at once, changes of other processes by notices. */
export class StateChanges {
  readonly #read: (id: UploadId) => Promise<Upload | undefined>;
  readonly #notices: Notices | undefined;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #any = new Set<() => void>();

  /** @param notices only where other processes change rows, too */
  constructor(read: (id: UploadId) => Promise<Upload | undefined>, notices: Notices | undefined) {
    this.#read = read;
    this.#notices = notices;
    notices?.on('state', (id) => this.#reread(id));
    notices?.on('state', () => this.#announceAny());
    notices?.onGap(() => {
      for (const id of this.#changes.eventNames()) this.#reread(id as UploadId);
    });
  }

  /** Calls the listener with the row after each change of this upload's state. Returns a function that stops this. */
  on(id: UploadId, listener: (upload: Upload) => void): () => void {
    this.#changes.on(id, listener);
    return () => this.#changes.off(id, listener);
  }

  /** Calls the listener after a change of any upload's state. Returns a function that stops this. */
  onAny(listener: () => void): () => void {
    this.#any.add(listener);
    return () => this.#any.delete(listener);
  }

  /** Call once the change is durable. */
  announce(upload: Upload): void {
    this.#changes.emit(upload.id, upload);
    this.#announceAny();
    this.#notices?.notify('state', upload.id);
  }

  #announceAny(): void {
    for (const listener of this.#any) listener();
  }

  /** Another process has, or may have, changed this upload: reads the row for the listeners. */
  #reread(id: UploadId): void {
    if (this.#changes.listenerCount(id) === 0) return;
    // A failed read is ignored: each listener has a time limit and reads the row at its end.
    this.#read(id).then(
      (upload) => {
        if (upload && upload.state !== 'receiving') this.#changes.emit(id, upload);
      },
      () => undefined,
    );
  }
}
