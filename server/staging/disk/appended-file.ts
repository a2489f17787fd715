// The file of an upload while a body is appended. Small writes go through `DiskThread`, which closes the file after each of them, so
// that ten thousand slow uploads need no more descriptors than their connections. A large write opens the file for those that follow.
import { constants } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { DiskThread } from '../../disk/disk-thread.ts';
import { OpenFile } from '../../disk/open-file.ts';
import { MAX_SMALL_BYTES } from '../../disk/small-writes.ts';
import type { UploadId } from '../../ledger/upload-id.ts';
import type { StagedSyncs } from './staged-syncs.ts';

/** The methods of a file that a writer calls. */
export type WritableFile = Pick<OpenFile, 'writev' | 'sync' | 'datasync' | 'close' | 'closeSync'>;

/** An open file is closed when it had no large write for this long. */
const IDLE_MS = 1000;

export interface AppendedFileOptions {
  thread: DiskThread;
  syncs: StagedSyncs;
  /** True when the file stays open between writes, because closing it waits for a server in the network. */
  staysOpen: boolean;
}

export class AppendedFile implements WritableFile {
  readonly #id: UploadId;
  readonly #path: string;
  readonly #completeBytes: number | null;
  readonly #options: AppendedFileOptions;
  #file: Promise<OpenFile> | undefined;
  #running = 0;
  #idle: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param completeBytes the length of the upload; null while it is unknown */
  constructor(id: UploadId, path: string, completeBytes: number | null, options: AppendedFileOptions) {
    this.#id = id;
    this.#path = path;
    this.#completeBytes = completeBytes;
    this.#options = options;
  }

  /** Like `OpenFile.writev`. Creates the file with its first byte. */
  async writev(buffers: readonly Buffer[], position: number): Promise<number> {
    const { thread, staysOpen } = this.#options;
    const bytes = buffers.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const isSmall = bytes <= MAX_SMALL_BYTES;
    // After the last write the file is synced, which needs it open anyway.
    const isLast = position + bytes === this.#completeBytes;
    if (isSmall && !isLast && !staysOpen && this.#file === undefined)
      return thread.write({ path: this.#path, position, mayCreate: position === 0, bytes, buffers });
    if (!isSmall) this.#idle?.refresh();
    return this.#use((file) => file.writev(buffers, position), position === 0);
  }

  sync(): Promise<void> {
    return this.#use((file) => this.#options.syncs.run(this.#id, file, 'sync'), true);
  }

  datasync(): Promise<void> {
    return this.#file === undefined ? this.#syncBriefly() : this.#use((file) => this.#options.syncs.run(this.#id, file, 'datasync'));
  }

  closeSync(): void {
    this.#isClosed = true;
    this.#take()?.then(
      (file) => file.closeSync(),
      () => undefined,
    );
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const file = await this.#take()?.catch(() => undefined);
    await file?.close();
  }

  /** For a sync between small writes: the file is not kept open. */
  #syncBriefly(): Promise<void> {
    const { thread, syncs } = this.#options;
    const sync = async () => void (await thread.do({ sync: this.#path }));
    return syncs.run(this.#id, { sync, datasync: sync, size: async () => (await stat(this.#path)).size }, 'datasync');
  }

  async #use<T>(work: (file: OpenFile) => Promise<T>, mayCreate = false): Promise<T> {
    if (this.#isClosed) throw Object.assign(new Error('The file is closed.'), { code: 'EBADF' });
    this.#running += 1;
    try {
      return await work(await this.#opened(mayCreate));
    } finally {
      this.#running -= 1;
    }
  }

  #opened(mayCreate: boolean): Promise<OpenFile> {
    if (this.#file === undefined) {
      const file = OpenFile.open(this.#path, constants.O_WRONLY | (mayCreate ? constants.O_CREAT : 0), 0o640);
      this.#file = file;
      if (!this.#options.staysOpen) this.#idle = setTimeout(() => this.#closeIdle(), IDLE_MS).unref();
      file.catch(() => {
        if (this.#file === file) void this.#take();
      });
    }
    return this.#file;
  }

  #closeIdle(): void {
    if (this.#running > 0) this.#idle?.refresh();
    else
      this.#take()
        ?.then((file) => file.close())
        // The next sync reports what went wrong.
        .catch(() => undefined);
  }

  #take(): Promise<OpenFile> | undefined {
    const file = this.#file;
    this.#file = undefined;
    clearTimeout(this.#idle);
    this.#idle = undefined;
    return file;
  }
}
