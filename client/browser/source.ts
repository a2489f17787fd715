import { UploadError } from '../../shared/errors.ts';
import type { Source, SourceReference } from '../ports.ts';

export type BrowserSource = File | Blob | Uint8Array<ArrayBuffer>;

/** @throws TypeError for any other value */
export function browserSource(source: BrowserSource): SourceReference {
  if (source instanceof Blob) return { name: nameOf(source), size: source.size, open: async () => new BlobSource(source) };
  if (source instanceof Uint8Array) {
    // A copy. The caller may change its bytes before a queue opens the source.
    const blob = new Blob([source]);
    return { name: '', size: blob.size, open: async () => new BlobSource(blob) };
  }
  throw new TypeError('A browser can send a File, a Blob or a Uint8Array.');
}

function nameOf(blob: Blob): string {
  return blob instanceof File ? blob.name : '';
}

class BlobSource implements Source {
  readonly name: string;
  readonly type: string;
  readonly size: number;
  readonly lastModified: number | null;
  readonly relativePath?: string;
  readonly isResumable = true;
  readonly #blob: Blob;

  constructor(blob: Blob) {
    this.#blob = blob;
    this.name = nameOf(blob);
    this.type = blob.type;
    this.size = blob.size;
    const isFile = blob instanceof File;
    // A Blob has no time of modification. A File created by script has the time of its creation.
    this.lastModified = isFile ? blob.lastModified : null;
    if (isFile && blob.webkitRelativePath) this.relativePath = blob.webkitRelativePath;
  }

  async read(start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
    let bytes: Uint8Array<ArrayBuffer>;
    try {
      bytes = new Uint8Array(await this.#blob.slice(start, end).arrayBuffer());
    } catch (cause) {
      // NotReadableError when the file changed or its disk is gone, NotFoundError when the file was moved.
      throw new UploadError('ERR_SOURCE_UNREADABLE', { detail: 'It was changed, moved or deleted. Choose it again.', cause });
    }
    if (bytes.length !== end - start) throw new UploadError('ERR_SOURCE_CHANGED', { detail: 'It became shorter.' });
    return bytes;
  }

  release(): void {}

  async close(): Promise<void> {}
}
