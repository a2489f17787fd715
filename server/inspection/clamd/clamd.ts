// A scanner for malware in another process: ClamAV's clamd, on a socket.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate } from 'node:timers/promises';
import { UploadError } from '../../../shared/errors.ts';
import type { ScanReport } from '../../../shared/upload.ts';
import type { ExternalRequest } from '../external-request.ts';
import { readReply } from './replies.ts';

export type ClamdAddress = { path: string } | { host: string; port: number };

/** The most in one piece: a piece is written completely before an answer is read. */
const PIECE_BYTES = 256 * 1024;
const MAX_REPLY_BYTES = 4096;
const COMMAND = 'zINSTREAM\0';
const END = Buffer.alloc(4);

/** Parses `unix:/path` or `tcp://host:port`, the forms of the setting. */
export function clamdAddressOf(text: string): ClamdAddress {
  const [, path] = /^unix:(?:\/\/)?(\/.+)$/.exec(text) ?? [];
  if (path !== undefined) return { path };
  const [, host = '', port] = /^tcp:\/\/(.+):(\d+)$/.exec(text) ?? [];
  return { host: host.replace(/^\[|\]$/g, ''), port: Number(port) };
}

/** clamd gave no answer, or an invalid one. Nothing is known of the file. */
export function scannerAway(cause: unknown): UploadError {
  return new UploadError('ERR_SCAN_UNAVAILABLE', { cause });
}

/**
 * Lets clamd scan some content, on a connection of its own, in constant memory.
 * @throws UploadError ERR_SCAN_UNAVAILABLE, the content's error, or the signal's reason
 */
export async function scanStream(address: ClamdAddress, content: AsyncIterable<Uint8Array>, request: ExternalRequest): Promise<ScanReport> {
  const session = new Session(address, request);
  try {
    for await (const chunk of content) {
      for (let start = 0; start < chunk.byteLength; start += PIECE_BYTES) {
        await session.send(chunk.subarray(start, start + PIECE_BYTES));
      }
      // Beyond its own limit clamd answers at once, and reads no more.
      if (session.isOver) break;
    }
    const reply = await session.end();
    try {
      return readReply(reply);
    } catch (cause) {
      throw scannerAway(cause);
    }
  } finally {
    session.close();
  }
}

class Session {
  /** clamd has answered, or is gone: `#reply` has its answer. */
  isOver = false;
  readonly #socket: Socket;
  readonly #request: ExternalRequest;
  readonly #reply: Promise<string>;
  readonly #connected: Promise<unknown>;
  readonly #onAbort: () => void;

  constructor(address: ClamdAddress, request: ExternalRequest) {
    const socket = connect({ ...address, allowHalfOpen: true });
    this.#socket = socket;
    this.#request = request;
    const { signal } = request;
    this.#onAbort = () => socket.destroy(signal.reason instanceof Error ? signal.reason : undefined);
    signal.addEventListener('abort', this.#onAbort);
    this.#connected = once(socket, 'connect').then(() => this.#write(Buffer.from(COMMAND)));
    this.#reply = this.#read();
    // Both promises are awaited later.
    this.#connected.catch(() => undefined);
    this.#reply.catch(() => undefined);
  }

  /** Returns early when the session is over. @throws the signal's reason */
  async send(piece: Uint8Array): Promise<void> {
    if (this.isOver || piece.byteLength === 0) return;
    const size = Buffer.alloc(4);
    size.writeUInt32BE(piece.byteLength);
    try {
      await this.#connected;
      this.#socket.cork();
      this.#socket.write(size);
      const written = this.#write(piece);
      this.#socket.uncork();
      await written;
      this.#request.progress();
      // Reads clamd's answer before more is written: a write that clamd does not accept would destroy the answer.
      await setImmediate();
    } catch {
      this.isOver = true;
    }
    this.#request.signal.throwIfAborted();
  }

  /** @throws UploadError ERR_SCAN_UNAVAILABLE, or the signal's reason */
  async end(): Promise<string> {
    try {
      await this.#connected;
      if (!this.isOver) await this.#write(END).catch(() => undefined);
      return await this.#reply;
    } catch (cause) {
      this.#request.signal.throwIfAborted();
      throw scannerAway(cause);
    }
  }

  close(): void {
    this.#request.signal.removeEventListener('abort', this.#onAbort);
    this.#socket.destroy();
  }

  #write(bytes: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.write(bytes, (error) => (error ? reject(error) : resolve()));
    });
  }

  /** A reply ends with NUL; a reply without it was cut off, and may say the opposite of the complete one. */
  async #read(): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    let text = '';
    this.#socket.setEncoding('utf8');
    this.#socket.on('data', (piece) => {
      text += piece;
      this.#request.progress();
      const end = text.indexOf('\0');
      if (end >= 0) resolve(text.slice(0, end));
      else if (text.length > MAX_REPLY_BYTES) reject(new Error('clamd answered too much.'));
      else return;
      this.isOver = true;
    });
    this.#socket.on('error', reject);
    this.#socket.on('end', () => reject(new Error('clamd closed the connection without an answer.')));
    this.#socket.on('close', () => reject(new Error('The connection to clamd is closed.')));
    return promise.finally(() => {
      this.isOver = true;
    });
  }
}
