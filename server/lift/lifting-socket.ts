// One connection of a server that lifts long bodies. This socket gets all bytes first. It looks for a head only where the parser is
// between two messages: at the first byte, and after the response to a complete request is written. From a lifted head until its
// response is written and its body has ended, the parser gets nothing, so no byte of a body, and none that follows it, can be taken for
// a head. All other bytes go to the parser at once and unchanged.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Socket, type SocketConstructorOpts } from 'node:net';
import { Duplex } from 'node:stream';
import type { LoopTurns } from '../runtime/loop-turns.ts';
import { countYoungBytes } from '../runtime/young-garbage.ts';
import { Landing, type LandingBuffers } from '../staging/landing.ts';
import { LiftedBody } from '../staging/lifted-body.ts';
import { type LiftableHead, liftableHead } from './liftable-head.ts';
import { type ConnectionHandle, type NodeServer, ON_MESSAGE_BEGIN, type Parser } from './node-internals.ts';

export interface LiftOptions {
  buffers: LandingBuffers;
  /** For clients that leave in the middle of a body. */
  departures: LoopTurns;
  /** Gets the connections whose parser was freed, because Node does not know them any more. */
  unlisted: Set<LiftingSocket>;
  /** A body of fewer bytes is not lifted. */
  fromBytes: number;
  /** Called when reading a lifted request fails; the socket then closes the connection. */
  onFault(error: unknown): void;
}

export class LiftingSocket extends Socket {
  declare parser?: Parser | null;
  declare _httpMessage?: ServerResponse | null;
  declare server: NodeServer;
  declare _server: NodeServer;
  readonly #options: LiftOptions;
  readonly #landing: Landing;
  /** The last message of the parser: null while its head is incomplete, undefined before the first. */
  #message: IncomingMessage | null | undefined;
  #head: LiftableHead | undefined;
  #body: LiftedBody | undefined;
  /** Bytes that followed the body. */
  readonly #rest: Buffer[] = [];
  #isAnswered = false;
  /** The server closed its half after the response to a lifted request, so all further bytes are discarded. */
  #isOver = false;
  #isLeaving = false;

  constructor(handle: ConnectionHandle, server: NodeServer, options: LiftOptions) {
    const landing = new Landing(options.buffers);
    const { allowHalfOpen, highWaterMark } = server;
    const onread = {
      buffer: () => landing.next(),
      callback: (count: number, memory: Buffer) => this.#guarded(() => this.#take(memory.subarray(0, count))),
    };
    // With `manualStart`, the constructor does not read: the fields of this class do not exist yet.
    const settings = { handle, allowHalfOpen, onread, readable: true, writable: true, manualStart: true };
    super({ ...settings, readableHighWaterMark: highWaterMark, writableHighWaterMark: highWaterMark } as unknown as SocketConstructorOpts);
    this.#options = options;
    this.#landing = landing;
    this.prependListener('end', () => this.#onHalfClose());
    this.on('close', () => landing.close());
  }

  /** Call after the server has attached the parser. */
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
      this._httpMessage?.on('finish', () => this.#onAnswered());
      // For the parser the message has ended. The request has not.
      parser.incoming = null;
      return result;
    };
  }

  /** While a body is lifted, only the lift starts reads. */
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

  /** The end of a body that is cut off waits for its turn: where a network breaks, thousands of clients leave at one moment. */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (chunk !== null || !this.#isInBody || this.#isLeaving) return super.push(chunk, encoding);
    this.#isLeaving = true;
    this.#options.departures.add(() => {
      if (this.destroyed) return;
      super.push(null);
      this.read(0);
    });
    return false;
  }

  override destroy(error?: Error): this {
    const isReset = error !== undefined && 'syscall' in error && error.syscall === 'read';
    if (!isReset || !this.#isInBody || this.#isLeaving) return super.destroy(error);
    this.#isLeaving = true;
    this.#options.departures.add(() => super.destroy(error));
    return this;
  }

  get #isInBody(): boolean {
    return this.#body !== undefined && this.#body.left > 0;
  }

  get #isLifting(): boolean {
    return this.#head !== undefined || this.#body !== undefined;
  }

  /** True when the next byte starts a message and no response is outstanding. */
  get #isBetweenMessages(): boolean {
    if (!this.parser || this.#message === null || this.#message?.complete === false || this._httpMessage) return false;
    return this.readableFlowing === true && this.readableLength === 0 && !this.writableNeedDrain;
  }

  /** Returns whether to continue reading. An error on a connection that is not lifted is thrown, as without the lift. */
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

  /** Gives the head to the parser, which calls the handlers. @throws the errors of the handlers */
  #lift(head: LiftableHead): LiftedBody {
    this.#head = head;
    this.#isAnswered = false;
    this.push(head.emptied);
    if (this.#body === undefined) throw new Error('The parser refused a head that it should take.');
    this.#head = undefined;
    if (this.parser && this.#message) this.parser.incoming = this.#message;
    return this.#body;
  }

  /** Restores the true Content-Length before a handler reads the headers. */
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
    if (this.parser && body.takesLong) this.#freeParser(this.parser);
    if (part.byteLength < bytes.byteLength) this.#rest.push(Buffer.from(bytes.subarray(part.byteLength)));
    if (body.left > 0) return !body.isPaused;
    // Continues reading until more bytes come, to notice when the client disconnects.
    return this.#isAnswered ? this.#endLift() : this.#rest.length === 0;
  }

  /**
   * Node's parser takes 10 KiB, and binds its connection to itself. So where the rest of a body will take long, the connection ends with
   * the response: to connect again costs such a sender nothing.
   */
  #freeParser(parser: Parser, response = this._httpMessage): void {
    if (!response || response.headersSent || !parser.remove || !parser.close) return;
    response.setHeader('Connection', 'close');
    this.parser = null;
    parser.remove();
    parser.close();
    this.on('close', () => this.#options.unlisted.delete(this));
    this.#options.unlisted.add(this);
  }

  #onAnswered(): void {
    this.#isAnswered = true;
    if (this.#body?.left === 0 && this.#guarded(() => this.#endLift())) super._read(0);
  }

  /** The body has ended and the response is written: the bytes that followed the body start a message. */
  #endLift(): boolean {
    this.#body = undefined;
    this.#isOver = this.writableEnded;
    const rest = Buffer.concat(this.#rest.splice(0));
    return rest.byteLength === 0 || this.#take(rest);
  }

  /** Reports the error that the parser reports for a truncated body. */
  #onHalfClose(): void {
    if (this.#body === undefined || this.#body.left === 0) return;
    this.emit('error', Object.assign(new Error('Parse Error: Invalid EOF state'), { code: 'HPE_INVALID_EOF_STATE' }));
  }
}
