// A file by its descriptor. `FileHandle` closes in the thread pool, and the hop there and back costs more than the close itself,
// which has nothing left to write after a sync or a read.
import { close, closeSync, fdatasync, fstat, fsync, open, read, type Stats, writev } from 'node:fs';

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

/**
 * The system gives the number of a closed descriptor to the next opened file: a late call would read or sync that other file. So a
 * close waits for running calls, and later calls are refused.
 */
export class OpenFile {
  readonly #descriptor: number;
  #running = 0;
  #isClosed = false;
  #whenIdle: (() => void) | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @throws the system's error; so do all other methods, and EBADF after `close` */
  static open(path: string, flags: string | number, mode?: number): Promise<OpenFile> {
    return new Promise((resolve, reject) => {
      open(path, flags, mode, (error, descriptor) => (error ? reject(error) : resolve(new OpenFile(descriptor))));
    });
  }

  /** Resolves to the number of bytes written, perhaps fewer than given. */
  writev(buffers: readonly Buffer[], position: number): Promise<number> {
    return this.#call((descriptor, done: Done<number>) => writev(descriptor, buffers, position, done));
  }

  /** Resolves to the number of bytes read into the buffer from `start` on; 0 at the end of the file. */
  read(buffer: Buffer, start: number, position: number): Promise<number> {
    return this.#call((descriptor, done: Done<number>) => read(descriptor, buffer, start, buffer.byteLength - start, position, done));
  }

  async size(): Promise<number> {
    return (await this.#call((descriptor, done: Done<Stats>) => fstat(descriptor, done))).size;
  }

  async sync(): Promise<void> {
    await this.#call<unknown>(fsync);
  }

  async datasync(): Promise<void> {
    await this.#call<unknown>(fdatasync);
  }

  /** Closes immediately, or when the running calls have returned. For a file that was only read, or has just been synced. */
  closeSync(): void {
    this.#end(() => closeSync(this.#descriptor));
  }

  /** Closes in the thread pool: writing back may take long, on a network file system for example. */
  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) resolve();
      else this.#end(() => close(this.#descriptor, (error) => (error ? reject(error) : resolve())));
    });
  }

  #call<T>(start: (descriptor: number, done: Done<T>) => void): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) {
        reject(Object.assign(new Error('The file is closed.'), { code: 'EBADF' }));
        return;
      }
      this.#running += 1;
      start(this.#descriptor, (error, value) => {
        this.#running -= 1;
        if (this.#running === 0) this.#whenIdle?.();
        if (error) reject(error);
        else resolve(value as T);
      });
    });
  }

  #end(closeNow: () => void): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#running === 0) closeNow();
    else {
      this.#whenIdle = () => {
        try {
          closeNow();
        } catch {
          // No caller is left to be told.
        }
      };
    }
  }
}
