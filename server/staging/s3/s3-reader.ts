import type { Bucket } from '../../s3/bucket.ts';
import { streamObject } from '../../s3/object-stream.ts';
import type { StagedReader } from '../staging.ts';
import type { Tail } from './s3-parts.ts';

/** Reads an object in S3 by ranges. */
export class ObjectReader implements StagedReader {
  readonly size: number;
  readonly #bucket: Bucket;
  readonly #key: string;

  constructor(bucket: Bucket, key: string, size: number) {
    this.#bucket = bucket;
    this.#key = key;
    this.size = size;
  }

  read(start: number, end: number): Promise<Buffer> {
    return this.#bucket.read(this.#key, start, Math.min(end, this.size));
  }

  stream(start = 0): AsyncIterable<Buffer> {
    return streamObject(this.#bucket, this.#key, start, this.size);
  }

  async close(): Promise<void> {}
}

/** Reads an upload that is not one object yet, because it is small or has just started. */
export class TailsReader implements StagedReader {
  readonly size: number;
  readonly #bucket: Bucket;
  readonly #tails: readonly Tail[];

  constructor(bucket: Bucket, tails: readonly Tail[]) {
    this.#bucket = bucket;
    this.#tails = tails;
    this.size = tails.reduce((sum, tail) => sum + tail.size, 0);
  }

  async read(start: number, end: number): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for (const tail of this.#tails) {
      const from = Math.max(start, tail.start);
      const to = Math.min(end, tail.start + tail.size);
      if (from < to) pieces.push(await this.#bucket.read(tail.key, from - tail.start, to - tail.start));
    }
    return Buffer.concat(pieces);
  }

  async *stream(start = 0): AsyncIterable<Buffer> {
    for (const tail of this.#tails) {
      const from = Math.max(start - tail.start, 0);
      if (from < tail.size) yield* streamObject(this.#bucket, tail.key, from, tail.size);
    }
  }

  async close(): Promise<void> {}
}
