// All undocumented parts of Node that the lift needs, and a check that this version of Node has them. Without them nothing is lifted,
// and Node's parser reads all bodies.
import { type IncomingMessage, Server, type ServerResponse } from 'node:http';
import { type BlockList, isIP, Socket } from 'node:net';

/** A new connection from the system. Only TCP has `getpeername`; `useUserBuffer` makes it read into memory of this process. */
export interface ConnectionHandle {
  /** True makes `http.Server` feed its parser from the socket instead of the handle. */
  _consumed?: boolean;
  getpeername?(out: { address?: string }): number;
  useUserBuffer?: unknown;
}

/** An `http.Server` with the internal fields of `net.Server`. `keepAliveInitialDelay` is in seconds. */
export interface NodeServer extends Server {
  _handle?: { onconnection?(this: unknown, error: number, client?: ConnectionHandle): void };
  _connections?: number;
  readonly blockList?: BlockList;
  readonly pauseOnConnect?: boolean;
  readonly allowHalfOpen?: boolean;
  readonly highWaterMark?: number;
  readonly noDelay?: boolean;
  readonly keepAlive?: boolean;
  readonly keepAliveInitialDelay?: number;
  readonly maxHeaderSize?: number;
}

/** `HTTPParser.kOnMessageBegin`: the parser calls it at the first byte of a message, not for empty lines before it. */
export const ON_MESSAGE_BEGIN = 0;

export interface Parser {
  [ON_MESSAGE_BEGIN]?: (() => void) | null;
  /** The request that ends with the message. */
  incoming: IncomingMessage | null;
  /** Called for a complete head; calls the handlers. */
  onIncoming(request: IncomingMessage, keepAlive: boolean): number;
  execute?(bytes: Buffer): unknown;
  /** `remove` takes the connection from the server's list of those that it times and closes, `close` frees the parser's memory. */
  remove?(): void;
  close?(): void;
}

/** True for connections that Node would refuse, and for those that the lift cannot read. */
export function isLeftToNode(server: NodeServer, client: ConnectionHandle): boolean {
  const { maxConnections, _connections: connections = 0, blockList, pauseOnConnect } = server;
  if (client.getpeername === undefined || client.useUserBuffer === undefined || pauseOnConnect) return true;
  if (typeof maxConnections === 'number' && connections >= maxConnections) return true;
  const peer: { address?: string } = {};
  if (blockList) client.getpeername(peer);
  return peer.address !== undefined && blockList?.check(peer.address, isIP(peer.address) === 6 ? 'ipv6' : 'ipv4') === true;
}

/** True when this version of Node has the internals. Tries them with a request that no client sent. */
export function hasInternals(): boolean {
  const seen: unknown[] = [];
  const socket: Socket & { parser?: Parser; _httpMessage?: ServerResponse } = new Socket();
  const server = new Server((request, response) => seen.push(request.rawHeaders[1], socket._httpMessage === response));
  try {
    server.emit('connection', socket);
    const { parser } = socket;
    if (parser?.incoming !== null) return false;
    parser[ON_MESSAGE_BEGIN] = () => seen.push('begins');
    const { onIncoming } = parser;
    parser.onIncoming = (request, keepAlive) => onIncoming(Object.assign(request, { rawHeaders: ['Host', 'corrected'] }), keepAlive);
    parser.execute?.(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    return seen.join() === 'begins,corrected,true';
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
