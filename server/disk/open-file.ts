// A file by its descriptor. `FileHandle` closes in the thread pool, and a hop there and back costs more than the close
// itself, which after a sync, or a read, has nothing left to write.
import { close, closeSync, fdatasync, fstat, fsync, open, read, writev } from 'node:fs';

export class OpenFile {
  readonly #descriptor: number;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @throws what the system says; so do all that follow */
  static open(path: string, flags: string | number, mode?: number): Promise<OpenFile> {
    return new Promise((resolve, reject) => {
      open(path, flags, mode, (error, descriptor) => (error ? reject(error) : resolve(new OpenFile(descriptor))));
    });
  }

  /** Bytes written, maybe fewer than given. */
  writev(buffers: readonly Buffer[], position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      writev(this.#descriptor, buffers, position, (error, bytes) => (error ? reject(error) : resolve(bytes)));
    });
  }

  /** Bytes read into the buffer from `start` on; 0 at the end of the file. */
  read(buffer: Buffer, start: number, position: number): Promise<number> {
    return new Promise((resolve, reject) => {
      read(this.#descriptor, buffer, start, buffer.byteLength - start, position, (error, bytes) =>
        error ? reject(error) : resolve(bytes),
      );
    });
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fstat(this.#descriptor, (error, stats) => (error ? reject(error) : resolve(stats.size)));
    });
  }

  sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fsync(this.#descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }

  datasync(): Promise<void> {
    return new Promise((resolve, reject) => {
      fdatasync(this.#descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** At once: for what was only read, or has just been synced. */
  closeSync(): void {
    closeSync(this.#descriptor);
  }

  /** In the thread pool: there may be much to write back, on a network's file system for one. */
  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      close(this.#descriptor, (error) => (error ? reject(error) : resolve()));
    });
  }
}
