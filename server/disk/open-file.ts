// A file by its descriptor. `FileHandle` closes in the thread pool, and a hop there and back costs more than the close
// itself, which after a sync, or a read, has nothing left to write.
import { close, closeSync, fdatasync, fstat, fsync, open, read, type Stats, writev } from 'node:fs';

type Done<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

/**
 * The number of a closed descriptor is the next opened file's: whoever still used it would read, or prove durable, what is
 * another's. So a close waits for the calls that run, and what comes after it is refused.
 */
export class OpenFile {
  readonly #descriptor: number;
  #running = 0;
  #isClosed = false;
  #whenIdle: (() => void) | undefined;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @throws what the system says; so do all that follow, and after `close` EBADF */
  static open(path: string, flags: string | number, mode?: number): Promise<OpenFile> {
    return new Promise((resolve, reject) => {
      open(path, flags, mode, (error, descriptor) => (error ? reject(error) : resolve(new OpenFile(descriptor))));
    });
  }

  /** Bytes written, maybe fewer than given. */
  writev(buffers: readonly Buffer[], position: number): Promise<number> {
    return this.#call((descriptor, done: Done<number>) => writev(descriptor, buffers, position, done));
  }

  /** Bytes read into the buffer from `start` on; 0 at the end of the file. */
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

  /** At once, or as soon as the calls that run have returned: for what was only read, or has just been synced. */
  closeSync(): void {
    this.#end(() => closeSync(this.#descriptor));
  }

  /** In the thread pool: there may be much to write back, on a network's file system for one. */
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
          // Nobody is left to tell.
        }
      };
    }
  }
}
