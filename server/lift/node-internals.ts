// What the lift needs of Node that Node does not promise: all of it, and the look whether it is there. Where it is not, nothing is
// lifted, and Node's parser reads bodies as it always did.
import { type IncomingMessage, Server, type ServerResponse } from 'node:http';
import { type BlockList, isIP, Socket } from 'node:net';

/** A connection as the system hands it over. `getpeername` is of TCP alone, `useUserBuffer` has it read into memory of ours. */
export interface ConnectionHandle {
  /** Taken: `http.Server` has its parser read the socket then, not the handle. */
  _consumed?: boolean;
  getpeername?(out: { address?: string }): number;
  useUserBuffer?: unknown;
}

/** An `http.Server`, with what `net.Server` keeps in it. `keepAliveInitialDelay` is in seconds. */
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

/** `HTTPParser.kOnMessageBegin`: called at the first byte of a message, not for the empty lines before it. */
export const ON_MESSAGE_BEGIN = 0;

export interface Parser {
  [ON_MESSAGE_BEGIN]?: (() => void) | null;
  /** Whose end the end of the message is. */
  incoming: IncomingMessage | null;
  /** A head is whole: takes the request to the handlers. */
  onIncoming(request: IncomingMessage, keepAlive: boolean): number;
  execute?(bytes: Buffer): unknown;
}

/** Whether the connection is one that Node itself would refuse, or that is not ours to read. */
export function isLeftToNode(server: NodeServer, client: ConnectionHandle): boolean {
  const { maxConnections, _connections: connections = 0, blockList, pauseOnConnect } = server;
  if (client.getpeername === undefined || client.useUserBuffer === undefined || pauseOnConnect) return true;
  if (typeof maxConnections === 'number' && connections >= maxConnections) return true;
  const peer: { address?: string } = {};
  if (blockList) client.getpeername(peer);
  return peer.address !== undefined && blockList?.check(peer.address, isIP(peer.address) === 6 ? 'ipv6' : 'ipv4') === true;
}

/** Tries it on a request that comes from nowhere: a message begins, its head is whole, its answer is the socket's. */
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
