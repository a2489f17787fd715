// One connection of a server whose long bodies come past Node's parser. All that is read lands here first. A head is looked for only
// where the parser stands between two messages: at the first byte, and once the answer to a whole request is written. From a head
// that is lifted until its answer is written and its body is over, the parser sees nothing, so that no byte of a body, and none that
// follows it, is ever taken for a head. Everything else is pushed to the parser at once, as it came.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import { Landing, type LandingBuffers } from '../staging/landing.ts';
import { LiftedBody } from '../staging/lifted-body.ts';
import { type LiftableHead, liftableHead } from './liftable-head.ts';
import { type ConnectionHandle, type NodeServer, ON_MESSAGE_BEGIN, type Parser } from './node-internals.ts';

export interface LiftOptions {
  buffers: LandingBuffers;
  /** A body of fewer bytes is not lifted. */
  fromBytes: number;
  /** While a lifted request was read: its connection is closed. */
  onFault(error: unknown): void;
}

export class LiftingSocket extends Socket {
  declare parser?: Parser | null;
  declare _httpMessage?: ServerResponse | null;
  declare server: NodeServer;
  declare _server: NodeServer;
  readonly #options: LiftOptions;
  readonly #landing: Landing;
  /** The message the parser read last: null while its head is not whole, undefined before the first. */
  #message: IncomingMessage | null | undefined;
  #head: LiftableHead | undefined;
  #body: LiftedBody | undefined;
  /** What came behind the body. */
  readonly #rest: Buffer[] = [];
  #isAnswered = false;
  /** Our half is closed behind the answer to a lifted request: what still comes is nobody's. */
  #isOver = false;

  constructor(handle: ConnectionHandle, server: NodeServer, options: LiftOptions) {
    const landing = new Landing(options.buffers);
    const { allowHalfOpen, highWaterMark } = server;
    const onread = {
      buffer: () => landing.next(),
      callback: (count: number, memory: Buffer) => this.#guarded(() => this.#take(memory.subarray(0, count))),
    };
    // Not read by the constructor: it is not made yet.
    const settings = { handle, allowHalfOpen, onread, readable: true, writable: true, manualStart: true };
    super({ ...settings, readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark } as unknown as SocketConstructorOpts);
    this.#options = options;
    this.#landing = landing;
    this.prependListener('end', () => this.#onHalfClose());
    this.once('close', () => landing.close());
  }

  /** Once the server has given it a parser. */
  follow(parser: Parser): void {
    const { onIncoming } = parser;
    parser[ON_MESSAGE_BEGIN] = () => {
      this.#message = null;
    };
    parser.onIncoming = (request, keepAlive) => {
      this.#message = request;
      if (this.#head === undefined) return onIncoming(request, keepAlive);
      this.#body = this.#correct(request, this.#head);
      const result = onIncoming(request, keepAlive);
      this._httpMessage?.once('finish', () => this.#onAnswered());
      // The message is over for the parser; the request is not.
      parser.incoming = null;
      return result;
    };
  }

  /** Nothing but the lift has it read while a body is lifted. */
  override _read(size: number): void {
    if (!this.#isLifting) super._read(size);
  }

  override read(size?: number): unknown {
    return this.#isLifting ? Duplex.prototype.read.call(this, size) : super.read(size);
  }

  override pause(): this {
    return this.#isLifting ? this : super.pause();
  }

  override resume(): this {
    return this.#isLifting ? this : super.resume();
  }

  get #isLifting(): boolean {
    return this.#head !== undefined || this.#body !== undefined;
  }

  /** Where the next byte is the first of a message, and no answer is outstanding that it would have to wait for. */
  get #isBetweenMessages(): boolean {
    if (!this.parser || this.#message === null || this.#message?.complete === false || this._httpMessage) return false;
    return this.readableFlowing === true && this.readableLength === 0 && !this.writableNeedDrain;
  }

  /** Returns whether to read on. What an application throws at a request that is not lifted goes where it goes without a lift. */
  #guarded(read: () => boolean): boolean {
    try {
      return read();
    } catch (error) {
      if (!this.#isLifting) throw error;
      this.#options.onFault(error);
      this.destroy();
      return false;
    }
  }

  #take(bytes: Buffer): boolean {
    if (this.#body !== undefined) return this.#takeBody(this.#body, bytes);
    if (this.#isOver) return true;
    const head = this.#isBetweenMessages ? liftableHead(bytes, this.#options.fromBytes, this.server) : undefined;
    if (head !== undefined) return this.#takeBody(this.#lift(head), bytes.subarray(head.bytes));
    countYoungBytes(bytes.byteLength);
    return this.push(Buffer.from(bytes));
  }

  /** Gives the head to the parser, and with it the request to the handlers. @throws what they throw */
  #lift(head: LiftableHead): LiftedBody {
    this.#head = head;
    this.#isAnswered = false;
    this.push(head.emptied);
    if (this.#body === undefined) throw new Error('The parser refused a head that it should take.');
    this.#head = undefined;
    if (this.parser && this.#message) this.parser.incoming = this.#message;
    return this.#body;
  }

  /** To be done before anybody has read its headers. */
  #correct(request: IncomingMessage, { contentLength }: LiftableHead): LiftedBody {
    const { rawHeaders } = request;
    const name = rawHeaders.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === 'content-length');
    rawHeaders[name + 1] = contentLength;
    request.headers['content-length'] = contentLength;
    return new LiftedBody(request, Number(contentLength), this.#landing, () => super._read(0));
  }

  #takeBody(body: LiftedBody, bytes: Buffer): boolean {
    const part = bytes.subarray(0, body.left);
    if (part.byteLength > 0) body.take(part);
    if (part.byteLength < bytes.byteLength) this.#rest.push(Buffer.from(bytes.subarray(part.byteLength)));
    if (body.left > 0) return !body.isPaused;
    // Read on behind it until more comes, to learn when the sender leaves.
    return this.#isAnswered ? this.#endLift() : this.#rest.length === 0;
  }

  #onAnswered(): void {
    this.#isAnswered = true;
    if (this.#body?.left === 0 && this.#guarded(() => this.#endLift())) super._read(0);
  }

  /** The body is over, and answered: what came behind it begins a message. */
  #endLift(): boolean {
    this.#body = undefined;
    this.#isOver = this.writableEnded;
    const rest = Buffer.concat(this.#rest.splice(0));
    return rest.byteLength === 0 || this.#take(rest);
  }

  /** As the parser says it of a body that ends before its end. */
  #onHalfClose(): void {
    if (this.#body === undefined || this.#body.left === 0) return;
    this.emit('error', Object.assign(new Error('Parse Error: Invalid EOF state'), { code: 'HPE_INVALID_EOF_STATE' }));
  }
}
