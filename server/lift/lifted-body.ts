// A body that comes past the parser. Whoever opens it here is lent what comes. Whoever reads the request as a stream instead, as an
// application's own routes do, or what throws the rest of an answered body away, finds the same bytes there, copied.
import type { IncomingMessage } from 'node:http';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import type { BodyLimits, BodySource, OpenBody } from '../staging/body-source.ts';
import { type BodyFlow, GatheredBody } from '../staging/gathered-body.ts';
import { streamBody } from '../staging/stream-source.ts';
import type { Landing } from './landing-buffers.ts';

/** A sender that brings as much between two writes is fast. */
const FAST_BYTES = 64 * 1024;
/** One that brings less at once is slow. */
const LITTLE_BYTES = 8 * 1024;

const bodies = new WeakMap<IncomingMessage, LiftedBody>();

/** The body of a request, by the shortest way it has. */
export function bodyOf(request: IncomingMessage): OpenBody {
  const lifted = bodies.get(request);
  return (limits) => (lifted?.isUntouched && !limits.inOne ? lifted.open(limits) : streamBody(request)(limits));
}

export class LiftedBody implements BodyFlow {
  readonly batchBytes: number = 128 * 1024;
  readonly #request: IncomingMessage;
  readonly #landing: Landing;
  readonly #readOn: () => void;
  /** What came before anybody asked. */
  #early: Buffer | undefined;
  #left: number;
  #source: GatheredBody | undefined;
  #isStream = false;
  #isReading = false;
  #isCut = false;

  /** @param readOn has the connection read */
  constructor(request: IncomingMessage & { _consuming?: boolean }, bytes: number, landing: Landing, readOn: () => void) {
    this.#request = request;
    this.#left = bytes;
    this.#landing = landing;
    this.#readOn = readOn;
    // Node's has the parser read on.
    request._read = () => {
      request._consuming = true;
      this.#stream();
    };
    bodies.set(request, this);
  }

  /** Bytes that have not come yet. */
  get left(): number {
    return this.#left;
  }

  /** Whether somebody wants more now. */
  get isReading(): boolean {
    return this.#isReading;
  }

  get isPaused(): boolean {
    return !this.#isReading;
  }

  get isUntouched(): boolean {
    return this.#source === undefined && !this.#isStream;
  }

  /** The next bytes, no more than are left, in memory that is the caller's. */
  take(bytes: Buffer): void {
    this.#left -= bytes.byteLength;
    if (this.#source !== undefined) this.#lend(this.#source, bytes);
    else if (this.#isStream) this.#isReading = this.#request.push(copyOf(bytes));
    else {
      this.#early = this.#early === undefined ? copyOf(bytes) : Buffer.concat([this.#early, bytes]);
      this.#isReading = false;
    }
    if (this.#left === 0) this.#end();
  }

  /** The connection is gone. */
  cut(): void {
    this.#isCut = true;
    this.#source?.finish('cut');
  }

  open(limits: BodyLimits): BodySource {
    const source = new GatheredBody(this, limits);
    this.#source = source;
    const early = this.#takeEarly();
    if (early !== undefined) source.add(early);
    if (this.#left === 0) this.#end();
    else if (this.#isCut) source.finish('cut');
    else this.resume();
    return source;
  }

  pause(): void {
    this.#isReading = false;
  }

  resume(): void {
    if (this.#left === 0 || this.#source?.end !== undefined || this.#landing.isFull) return;
    this.#isReading = true;
    this.#readOn();
  }

  release(buffers: readonly Buffer[]): void {
    this.#landing.release(buffers);
    if (!this.#isReading && this.#source !== undefined) this.resume();
  }

  close(): void {
    this.#source = undefined;
    this.#isReading = false;
    this.#landing.leave();
  }

  #lend(source: GatheredBody, bytes: Buffer): void {
    const landing = this.#landing;
    // The sender has become slow: little comes, and nothing waits or is written beside it.
    if (bytes.byteLength < LITTLE_BYTES && source.waitingBytes === 0 && landing.isIdle) landing.leave();
    source.add(landing.isLeased && landing.keep(bytes) ? bytes : copyOf(bytes));
    if (source.waitingBytes >= FAST_BYTES && this.#left >= FAST_BYTES) landing.lease();
    if (landing.isFull) source.pause();
  }

  /** Read as Node's own: from its beginning, or from where a reader of ours has left off. */
  #stream(): void {
    if (this.#source !== undefined) return;
    this.#isStream = true;
    const early = this.#takeEarly();
    if (early !== undefined) this.#request.push(early);
    if (this.#left === 0) this.#end();
    else {
      this.#isReading = true;
      this.#readOn();
    }
  }

  #takeEarly(): Buffer | undefined {
    const early = this.#early;
    this.#early = undefined;
    return early;
  }

  /** All of it has come: as the parser says it. */
  #end(): void {
    const request = this.#request;
    this.#isReading = false;
    request.complete = true;
    this.#landing.leave();
    if (this.isUntouched || request.readableEnded) return;
    this.#source?.finish('whole');
    request.push(null);
    if (this.#source !== undefined) request.resume();
  }
}

function copyOf(bytes: Buffer): Buffer {
  countYoungBytes(bytes.byteLength);
  return Buffer.from(bytes);
}
