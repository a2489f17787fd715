// Keeps the buffers of sent parts for the next parts. A new buffer of 16 MiB costs its memory pages each time, and V8 marks its whole heap
// when memory outside of it comes and goes quickly. Both together took a quarter of the CPU time of an upload to S3.

/** Smaller buffers are cheap to allocate, and have many sizes. */
const LEAST_BYTES = 1024 * 1024;
/** During an upload, the next part needs a buffer within seconds. */
const KEEP_MS = 5000;

export class SpareParts {
  #spare: Buffer<ArrayBuffer>[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * A buffer of exactly this size. Its content is arbitrary.
   * @param spareBytes most bytes that spare buffers may keep beside it
   */
  take(size: number, spareBytes: number): Buffer<ArrayBuffer> {
    const index = this.#spare.findIndex((buffer) => buffer.byteLength === size);
    const [found] = index === -1 ? [] : this.#spare.splice(index, 1);
    if (found) this.#bytes -= size;
    while (this.#bytes > spareBytes) this.#bytes -= this.#spare.shift()?.byteLength ?? this.#bytes;
    return found ?? Buffer.allocUnsafeSlow(size);
  }

  /** Keeps a buffer that is no longer read or written. */
  add(buffer: Buffer<ArrayBuffer>, spareBytes: number): void {
    if (buffer.byteLength < LEAST_BYTES || this.#bytes + buffer.byteLength > spareBytes) return;
    this.#spare.push(buffer);
    this.#bytes += buffer.byteLength;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#forget(), KEEP_MS);
    this.#timer.unref();
  }

  #forget(): void {
    this.#spare = [];
    this.#bytes = 0;
  }
}
