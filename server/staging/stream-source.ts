// A body as Node's HTTP parser, or a form's, brings it: chunks in memory of their own, and a stream that is paused while enough waits.
import type { Readable } from 'node:stream';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import type { BodyLimits, BodySource, OpenBody } from './body-source.ts';
import { type BodyFlow, GatheredBody } from './gathered-body.ts';

export function streamBody(stream: Readable): OpenBody {
  return (limits) => new StreamFlow(stream, limits).source;
}

class StreamFlow implements BodyFlow {
  readonly batchBytes: number = 512 * 1024;
  readonly #stream: Readable;
  readonly #source: GatheredBody;

  constructor(stream: Readable, limits: BodyLimits) {
    this.#stream = stream;
    this.#source = new GatheredBody(this, limits);
    stream.on('data', this.#onData);
    stream.on('end', this.#onEnd);
    stream.on('close', this.#onClose);
    stream.on('error', this.#onClose);
    if (stream.readableEnded) this.#onEnd();
    else if (stream.destroyed) this.#onClose();
  }

  get source(): BodySource {
    return this.#source;
  }

  get isPaused(): boolean {
    return this.#stream.isPaused();
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  /** Chunks of a stream are nobody else's. */
  release(): void {}

  close(): void {
    this.#stream.off('data', this.#onData);
    this.#stream.off('end', this.#onEnd);
    this.#stream.off('close', this.#onClose);
    this.#stream.off('error', this.#onClose);
    // Someone must listen: a socket's late error would otherwise end the process.
    this.#stream.on('error', ignore);
  }

  readonly #onData = (chunk: Buffer): void => {
    countYoungBytes(chunk.byteLength);
    this.#source.add(chunk);
  };
  readonly #onEnd = (): void => this.#source.finish('whole');
  readonly #onClose = (): void => this.#source.finish('cut');
}

function ignore(): void {}
