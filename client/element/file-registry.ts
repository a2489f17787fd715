import type { UploadQueue } from '../handle/queue.ts';
import type { UploadState } from '../handle/snapshot.ts';
import { isFinal } from '../handle/states.ts';
import { type FileIdentity, identityKey, removeHandle, saveHandle } from './unfinished/file-handles.ts';

/** Knows the file of each upload, by the id of the upload's handle. */
export class FileRegistry {
  readonly #identities = new Map<string, FileIdentity>();
  /** Id of the latest upload of each file. */
  readonly #ids = new Map<string, string>();
  /** Uploads whose file handle the browser keeps for a later visit. */
  readonly #withHandle = new Set<string>();

  add(id: string, identity: FileIdentity, handle: FileSystemFileHandle | undefined): void {
    this.#identities.set(id, identity);
    this.#ids.set(identityKey(identity), id);
    if (handle === undefined) return;
    this.#withHandle.add(id);
    void saveHandle(identity, handle);
  }

  /** The running upload of a file that is added again. A second upload would wait for the first, and then store the file twice. */
  activeUpload(identity: FileIdentity, queue: UploadQueue<never> | undefined): string | undefined {
    const id = this.#ids.get(identityKey(identity));
    const upload = id === undefined ? undefined : queue?.get(id);
    return upload !== undefined && !isFinal(upload.snapshot.state) ? id : undefined;
  }

  rename(id: string, newId: string): void {
    const identity = this.#identities.get(id);
    if (identity === undefined || id === newId) return;
    this.#identities.delete(id);
    this.#identities.set(newId, identity);
    this.#ids.set(identityKey(identity), newId);
    if (this.#withHandle.delete(id)) this.#withHandle.add(newId);
  }

  /** Call when an upload ended. A failed upload keeps its file handle, so that a later visit can resume it. */
  ended(id: string, state: UploadState): void {
    const identity = this.#identities.get(id);
    if (identity === undefined || state === 'failed' || !this.#withHandle.delete(id)) return;
    void removeHandle(identity);
  }

  remove(id: string): void {
    const identity = this.#identities.get(id);
    this.#identities.delete(id);
    this.#withHandle.delete(id);
    if (identity && this.#ids.get(identityKey(identity)) === id) this.#ids.delete(identityKey(identity));
  }
}
