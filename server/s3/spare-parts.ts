// Buffers of parts that were sent, for the parts that come next. A new one of 16 MiB costs its pages each time, and V8 takes
// memory outside its heap that comes and goes so quickly for a reason to mark the whole heap: both together were a quarter of
// what an upload to S3 cost.

/** Less is cheap to make, and comes in many sizes. */
const LEAST_BYTES = 1024 * 1024;
/** While parts come, the next needs one within seconds. */
const KEEP_MS = 5000;

export class SpareParts {
  #spare: Buffer<ArrayBuffer>[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Of exactly so many bytes, with anything in it.
   * @param room bytes that spare ones may take beside it
   */
  take(size: number, room: number): Buffer<ArrayBuffer> {
    const index = this.#spare.findIndex((buffer) => buffer.byteLength === size);
    const [found] = index === -1 ? [] : this.#spare.splice(index, 1);
    if (found) this.#bytes -= size;
    while (this.#bytes > room) this.#bytes -= this.#spare.shift()?.byteLength ?? this.#bytes;
    return found ?? Buffer.allocUnsafeSlow(size);
  }

  /** Nobody reads or writes it any more. */
  add(buffer: Buffer<ArrayBuffer>, room: number): void {
    if (buffer.byteLength < LEAST_BYTES || this.#bytes + buffer.byteLength > room) return;
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
