import { browserPlatform } from '../browser/platform.ts';
import { browserSource } from '../browser/source.ts';
import type { UploadState } from '../handle/snapshot.ts';
import { fingerprintOf } from '../resume/journal.ts';
import { type FileIdentity, identityKey, removeHandle, saveHandle } from './unfinished/file-handles.ts';

interface SentFile {
  readonly identity: FileIdentity;
  readonly file: File;
  /** The browser keeps its file handle for a later visit. */
  isHandleSaved: boolean;
}

/** Knows the file of each upload, by the id of the upload's handle. */
export class FileRegistry {
  readonly #files = new Map<string, SentFile>();
  /** Ids of the uploads with the same name, size, date and path, by `identityKey`. */
  readonly #ids = new Map<string, readonly string[]>();

  add(id: string, identity: FileIdentity, file: File, handle: FileSystemFileHandle | undefined): void {
    this.#put(id, { identity, file, isHandleSaved: handle !== undefined });
    if (handle !== undefined) void saveHandle(identity, handle);
  }

  /** Ids of the uploads of files with this name, size, date and path, which may have the same content. */
  uploadsOf(identity: FileIdentity): readonly string[] {
    return this.#ids.get(identityKey(identity)) ?? [];
  }

  /**
   * The upload among `ids` whose file has the same content: a second upload would store it twice. Compares head, middle and tail, as the
   * client does before it resumes an upload. Undefined also when the file cannot be read; its upload then says so.
   */
  async withContentOf(file: File, ids: readonly string[]): Promise<string | undefined> {
    const content = await contentOf(file);
    for (const id of ids) {
      const known = this.#files.get(id);
      if (known !== undefined && content !== undefined && (await contentOf(known.file)) === content) return id;
    }
    return undefined;
  }

  /** Where the file was sent to; empty for an unknown id. */
  endpointOf(id: string): string {
    return this.#files.get(id)?.identity.endpoint ?? '';
  }

  rename(id: string, newId: string): void {
    const known = this.#files.get(id);
    if (known === undefined || id === newId) return;
    this.remove(id);
    this.#put(newId, known);
  }

  /** Call when an upload ended. A failed upload keeps its file handle, so that a later visit can resume it. */
  ended(id: string, state: UploadState): void {
    const known = this.#files.get(id);
    if (!known?.isHandleSaved || state === 'failed') return;
    known.isHandleSaved = false;
    void removeHandle(known.identity);
  }

  remove(id: string): void {
    const known = this.#files.get(id);
    if (known === undefined) return;
    this.#files.delete(id);
    const key = identityKey(known.identity);
    const others = this.uploadsOf(known.identity).filter((other) => other !== id);
    if (others.length > 0) this.#ids.set(key, others);
    else this.#ids.delete(key);
  }

  #put(id: string, file: SentFile): void {
    this.#files.set(id, file);
    this.#ids.set(identityKey(file.identity), [...this.uploadsOf(file.identity), id]);
  }
}

async function contentOf(file: File): Promise<string | undefined> {
  try {
    return await fingerprintOf(await browserSource(file).open(), browserPlatform.crc32);
  } catch {
    return undefined;
  }
}
