// A body that the lift reads past Node's parser. `bodyOf` lends its bytes to staging without a copy. Code that reads the request as a
// stream instead, such as an application's own routes, gets the same bytes as copies.
import type { IncomingMessage } from 'node:http';
import type { BodyLimits, BodySource, OpenBody } from './body-source.ts';
import { type BodyFlow, GatheredBody, SLOW_BYTES } from './gathered-body.ts';
import { type Landing, unpooledCopy } from './landing.ts';
import { streamBody } from './stream-source.ts';

/** A client that sends this much during one write is fast. */
const MUCH_BYTES = 32 * 1024;
/**
 * The rest of a body takes long when it will take this much time at the pace of its first part, which took `PACE_MS` or more. A fast
 * sender far away is slow before that, because TCP starts slowly.
 */
const LONG_MS = 30_000;
const PACE_MS = 2000;
/** A client whose reads bring less than this is slow. */
const LITTLE_BYTES = 8 * 1024;

const bodies = new WeakMap<IncomingMessage, LiftedBody>();

/** Opens the body of a request: past the parser when it is lifted, else as a stream. */
export function bodyOf(request: IncomingMessage): OpenBody {
  const lifted = bodies.get(request);
  return (limits) => (lifted?.isUntouched && !limits.inOne ? lifted.open(limits) : streamBody(request)(limits));
}

export class LiftedBody implements BodyFlow {
  readonly batchBytes: number = 256 * 1024;
  readonly #request: IncomingMessage;
  readonly #landing: Landing;
  readonly #readOn: () => void;
  /** Bytes of the body that have not arrived yet. */
  left: number;
  /** True while no reader wants more bytes. */
  isPaused = true;
  /** Bytes that arrived before the first reader. */
  #early: Buffer[] = [];
  #source: GatheredBody | undefined;
  readonly #bytes: number;
  readonly #startedAt = performance.now();
  #isStream = false;

  /** @param readOn makes the connection read */
  constructor(request: IncomingMessage & { _consuming?: boolean }, bytes: number, landing: Landing, readOn: () => void) {
    this.#request = request;
    this.left = bytes;
    this.#bytes = bytes;
    this.#landing = landing;
    this.#readOn = readOn;
    // Replaces Node's method, which would make the parser read on.
    request._read = () => {
      request._consuming = true;
      this.#stream();
    };
    request.on('close', () => this.#source?.finish('cut'));
    bodies.set(request, this);
  }

  get isUntouched(): boolean {
    return this.#source === undefined && !this.#isStream;
  }

  get takesLong(): boolean {
    const elapsedMs = performance.now() - this.#startedAt;
    return this.#source !== undefined && elapsedMs >= PACE_MS && this.left * elapsedMs > LONG_MS * (this.#bytes - this.left);
  }

  get mayRest(): boolean {
    return this.left >= SLOW_BYTES;
  }

  /** Takes at most `left` bytes, in leased memory or in memory that is valid only during the call. */
  take(bytes: Buffer): void {
    this.left -= bytes.byteLength;
    if (this.#source !== undefined) this.#lend(this.#source, bytes);
    else if (this.#isStream) this.isPaused = !this.#request.push(unpooledCopy(bytes));
    else {
      this.#early.push(unpooledCopy(bytes));
      this.isPaused = true;
    }
    if (this.left === 0) this.#end();
  }

  open(limits: BodyLimits): BodySource {
    const source = new GatheredBody(this, limits);
    this.#source = source;
    for (const early of this.#early.splice(0)) source.add(early);
    if (this.left === 0) this.#end();
    else if (this.#request.destroyed) source.finish('cut');
    else this.resume();
    return source;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    if (this.left === 0 || this.#source?.end !== undefined || this.#source?.isResting || this.#landing.isFull) return;
    this.isPaused = false;
    this.#readOn();
  }

  release(buffers: readonly Buffer[]): void {
    this.#landing.release(buffers);
    if (this.isPaused && this.#source !== undefined) this.resume();
  }

  close(): void {
    this.#source = undefined;
    this.isPaused = true;
    this.#landing.leave();
  }

  #lend(source: GatheredBody, bytes: Buffer): void {
    const landing = this.#landing;
    if (bytes.byteLength < LITTLE_BYTES && source.waitingBytes === 0 && landing.isIdle) landing.leave();
    source.add(landing.hold(bytes));
    if (source.waitingBytes >= MUCH_BYTES && this.left >= MUCH_BYTES) landing.lease();
    if (landing.isFull) source.pause();
  }

  /** Passes the body to the request's stream. */
  #stream(): void {
    if (this.#source !== undefined) return;
    this.#isStream = true;
    for (const early of this.#early.splice(0)) this.#request.push(early);
    if (this.left === 0) this.#end();
    else {
      this.isPaused = false;
      this.#readOn();
    }
  }

  /** Ends the request as the parser would: all bytes have arrived. */
  #end(): void {
    const request = this.#request;
    request.complete = true;
    this.#landing.leave();
    if (this.isUntouched || request.readableEnded) return;
    this.#source?.finish('whole');
    request.push(null);
    if (this.#source !== undefined) request.resume();
  }
}
