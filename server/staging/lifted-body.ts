// A body that comes past the parser. Whoever opens it here is lent what comes. Whoever reads the request as a stream instead, as an
// application's own routes do, or what throws the rest of an answered body away, finds the same bytes there, copied.
import type { IncomingMessage } from 'node:http';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import type { BodyLimits, BodySource, OpenBody } from './body-source.ts';
import { type BodyFlow, GatheredBody } from './gathered-body.ts';
import type { Landing } from './landing.ts';
import { streamBody } from './stream-source.ts';

/** Between two writes, from a sender who is fast. */
const MUCH_BYTES = 64 * 1024;
/** At once, from one who is slow. */
const LITTLE_BYTES = 8 * 1024;

const bodies = new WeakMap<IncomingMessage, LiftedBody>();

/** The body of a request, by the shortest way it has. */
export function bodyOf(request: IncomingMessage): OpenBody {
  const lifted = bodies.get(request);
  return (limits) => (lifted?.isUntouched && !limits.inOne ? lifted.open(limits) : streamBody(request)(limits));
}

export class LiftedBody implements BodyFlow {
  readonly batchBytes: number = 256 * 1024;
  readonly #request: IncomingMessage;
  readonly #landing: Landing;
  readonly #readOn: () => void;
  /** Bytes that have not come yet. */
  left: number;
  /** Nobody wants more now. */
  isPaused = true;
  /** What came before anybody asked. */
  #early: Buffer[] = [];
  #source: GatheredBody | undefined;
  #isStream = false;

  /** @param readOn has the connection read */
  constructor(request: IncomingMessage & { _consuming?: boolean }, bytes: number, landing: Landing, readOn: () => void) {
    this.#request = request;
    this.left = bytes;
    this.#landing = landing;
    this.#readOn = readOn;
    // In the place of Node's own, which has the parser read on.
    request._read = () => {
      request._consuming = true;
      this.#stream();
    };
    request.once('close', () => this.#source?.finish('cut'));
    bodies.set(request, this);
  }

  get isUntouched(): boolean {
    return this.#source === undefined && !this.#isStream;
  }

  /** The next bytes, no more than are left, in memory that is good until this returns, or leased. */
  take(bytes: Buffer): void {
    this.left -= bytes.byteLength;
    if (this.#source !== undefined) this.#lend(this.#source, bytes);
    else if (this.#isStream) this.isPaused = !this.#request.push(copyOf(bytes));
    else {
      this.#early.push(copyOf(bytes));
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
    if (this.left === 0 || this.#source?.end !== undefined || this.#landing.isFull) return;
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
    source.add(landing.keep(bytes) ? bytes : copyOf(bytes));
    if (source.waitingBytes >= MUCH_BYTES && this.left >= MUCH_BYTES) landing.lease();
    if (landing.isFull) source.pause();
  }

  /** From its beginning, or from where a source has left off. */
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

  /** All of it has come: the request hears what it would from the parser. */
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

function copyOf(bytes: Buffer): Buffer {
  countYoungBytes(bytes.byteLength);
  return Buffer.from(bytes);
}
