import type { UploadQueue } from '../handle/queue.ts';
import type { UploadState } from '../handle/snapshot.ts';
import { isOver } from '../handle/states.ts';
import { dropHandle, type FileIdentity, identityKey, keepHandle } from './earlier/file-handles.ts';

/** Which file stands behind which upload, by the id of its handle. */
export class KnownFiles {
  readonly #identities = new Map<string, FileIdentity>();
  /** The latest upload of each file. */
  readonly #ids = new Map<string, string>();
  /** Uploads whose file handle the browser keeps for a later visit. */
  readonly #kept = new Set<string>();

  add(id: string, identity: FileIdentity, handle: FileSystemFileHandle | undefined): void {
    this.#identities.set(id, identity);
    this.#ids.set(identityKey(identity), id);
    if (handle === undefined) return;
    this.#kept.add(id);
    void keepHandle(identity, handle);
  }

  /** The upload of a file that is given a second time while the first is on its way: the two would wait for each other, and then arrive twice. */
  underWay(identity: FileIdentity, queue: UploadQueue<never> | undefined): string | undefined {
    const id = this.#ids.get(identityKey(identity));
    const upload = id === undefined ? undefined : queue?.get(id);
    return upload !== undefined && !isOver(upload.snapshot.state) ? id : undefined;
  }

  rename(id: string, newId: string): void {
    const identity = this.#identities.get(id);
    if (identity === undefined || id === newId) return;
    this.#identities.delete(id);
    this.#identities.set(newId, identity);
    this.#ids.set(identityKey(identity), newId);
    if (this.#kept.delete(id)) this.#kept.add(newId);
  }

  /** A failed upload keeps its handle: a later visit goes on with it. */
  ended(id: string, state: UploadState): void {
    const identity = this.#identities.get(id);
    if (identity === undefined || state === 'failed' || !this.#kept.delete(id)) return;
    void dropHandle(identity);
  }

  remove(id: string): void {
    const identity = this.#identities.get(id);
    this.#identities.delete(id);
    this.#kept.delete(id);
    if (identity && this.#ids.get(identityKey(identity)) === id) this.#ids.delete(identityKey(identity));
  }
}
