// One connection of a server whose long bodies come past Node's parser. All that is read lands here first. A head is looked for only
// where the parser stands between two messages: at the first byte, and once the answer to a whole request is written. From a head
// that is lifted until its answer is written and its body is over, the parser sees nothing, so that no byte of a body, and none that
// follows it, is ever taken for a head. Everything else is pushed to the parser at once, as it came.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { Duplex } from 'node:stream';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import { Landing, type LandingBuffers } from './landing-buffers.ts';
import { type HeadLimits, headLimits, type LiftableHead, liftableHead } from './liftable-head.ts';
import { LiftedBody } from './lifted-body.ts';
import { type ConnectionHandle, type HandleOptions, type ListeningServer, onMessageBegin, type Parser } from './node-internals.ts';

export interface LiftOptions {
  buffers: LandingBuffers;
  /** A body of fewer bytes is not lifted. */
  fromBytes: number;
  /** A fault while a lifted request was read: its connection is closed. */
  onFault(error: unknown): void;
}

export class LiftingSocket extends Socket {
  declare parser?: Parser | null;
  declare _httpMessage?: ServerResponse | null;
  declare server: unknown;
  declare _server: unknown;
  readonly #options: LiftOptions;
  readonly #landing: Landing;
  readonly #limits: HeadLimits;
  /** The message the parser read last: null while its head is not whole, undefined before the first. */
  #message: IncomingMessage | null | undefined;
  #head: LiftableHead | undefined;
  #body: LiftedBody | undefined;
  /** What came behind the body. */
  #rest: Buffer | undefined;
  #isAnswered = false;
  /** Our half is closed: what still comes is nobody's. */
  #isOver = false;

  constructor(handle: ConnectionHandle, server: ListeningServer, options: LiftOptions) {
    const landing = new Landing(options.buffers);
    const { allowHalfOpen = false, highWaterMark } = server;
    const settings: HandleOptions = {
      handle,
      allowHalfOpen,
      readable: true,
      writable: true,
      readableHighWaterMark: highWaterMark,
      writableHighWaterMark: highWaterMark,
      manualStart: true,
      onread: { buffer: () => landing.next(), callback: (count, memory) => this.#onRead(memory as Buffer, count) },
    };
    super(settings as unknown as SocketConstructorOpts);
    this.#options = options;
    this.#landing = landing;
    this.#limits = headLimits(server, options.fromBytes);
    this.prependListener('end', () => this.#onHalfClose());
    this.prependListener('close', () => {
      this.#body?.cut();
      landing.close();
    });
  }

  /** Once the server has given it a parser. */
  follow(parser: Parser): void {
    const { onIncoming } = parser;
    onMessageBegin(parser, () => {
      this.#message = null;
    });
    parser.onIncoming = (request, keepAlive) => {
      this.#message = request;
      if (this.#head === undefined) return onIncoming?.(request, keepAlive) ?? 0;
      this.#body = this.#correct(request, this.#head);
      const result = onIncoming?.(request, keepAlive) ?? 0;
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

  /** Returns whether to read on. What an application throws at a request that is not lifted is its own, as without a lift. */
  #onRead(memory: Buffer, count: number): boolean {
    try {
      return this.#take(memory.subarray(0, count));
    } catch (error) {
      if (!this.#isLifting) throw error;
      this.#fail(error);
      return false;
    }
  }

  #take(bytes: Buffer): boolean {
    if (this.#isOver) return true;
    if (this.#body !== undefined) return this.#takeBody(this.#body, bytes);
    const head = this.#isBetweenMessages ? liftableHead(bytes, this.#limits) : undefined;
    if (head !== undefined) return this.#takeBody(this.#lift(head), bytes.subarray(head.bytes));
    countYoungBytes(bytes.byteLength);
    return this.push(Buffer.from(bytes));
  }

  /** Gives the head to the parser, and with it the request to the handlers. @throws what they throw */
  #lift(head: LiftableHead): LiftedBody {
    this.#head = head;
    this.#isAnswered = false;
    this.push(head.emptied);
    const { parser } = this;
    if (this.#body === undefined) throw new Error('The parser has refused a head that it should take.');
    this.#head = undefined;
    if (parser && this.#message) parser.incoming = this.#message;
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
    if (part.byteLength < bytes.byteLength) {
      const rest = bytes.subarray(part.byteLength);
      this.#rest = this.#rest === undefined ? Buffer.from(rest) : Buffer.concat([this.#rest, rest]);
    }
    if (body.left > 0) return body.isReading;
    // Read on behind it, to learn that the sender has left, until it sends more.
    return this.#isAnswered ? this.#endLift() : this.#rest === undefined;
  }

  #onAnswered(): void {
    this.#isAnswered = true;
    if (this.#body === undefined || this.#body.left > 0) return;
    try {
      if (this.#endLift()) super._read(0);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The body is over, and answered. */
  #endLift(): boolean {
    const rest = this.#rest;
    this.#body = undefined;
    this.#rest = undefined;
    this.#isOver = this.writableEnded || this.destroyed;
    return rest === undefined || this.#take(rest);
  }

  /** As the parser says it of a body that ends before its end. */
  #onHalfClose(): void {
    if (this.#body === undefined || this.#body.left === 0) return;
    this.emit('error', Object.assign(new Error('Parse Error: Invalid EOF state'), { code: 'HPE_INVALID_EOF_STATE' }));
  }

  #fail(error: unknown): void {
    this.#options.onFault(error);
    this.destroy();
  }
}
