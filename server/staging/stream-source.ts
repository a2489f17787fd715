// A body that comes as a stream, from Node's HTTP parser or a form's parser. Each chunk has memory of its own.
import type { Readable } from 'node:stream';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import type { BodyLimits, BodySource, OpenBody } from './body-source.ts';
import { type BodyFlow, GatheredBody } from './gathered-body.ts';

export function streamBody(stream: Readable): OpenBody {
  return (limits) => new StreamFlow(stream, limits).source;
}

class StreamFlow implements BodyFlow {
  readonly batchBytes: number = 512 * 1024;
  readonly mayRest = false;
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

  /** Nothing to release: each chunk of a stream has memory of its own. */
  release(): void {}

  close(): void {
    this.#stream.off('data', this.#onData);
    this.#stream.off('end', this.#onEnd);
    this.#stream.off('close', this.#onClose);
    this.#stream.off('error', this.#onClose);
    // Without a listener, a late error of the socket would end the process.
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
