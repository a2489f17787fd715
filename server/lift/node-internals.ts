// What the lift needs of Node that Node does not promise, all of it, and the look whether it is there. Where it is not, nothing is
// lifted, and Node's parser reads bodies as it always did.
import { type IncomingMessage, Server, type ServerResponse } from 'node:http';
import { isIP, Socket, type SocketConstructorOpts } from 'node:net';

/** A connection as the system hands it over. */
export interface ConnectionHandle {
  /** Taken: `http.Server` has its parser read the socket then, not the handle. */
  _consumed?: boolean;
  /** Of TCP alone, not of pipes. */
  getpeername?(out: { address?: string }): number;
  /** Has the bytes read into memory of ours. */
  useUserBuffer?(buffer: Uint8Array): void;
}

type OnConnection = (this: unknown, error: number, client?: ConnectionHandle) => void;

/** What `net.Server` keeps, and does when a connection comes. */
export interface ListeningServer extends Server {
  _handle?: { onconnection?: OnConnection };
  _connections?: number;
  blockList?: { check(address: string, family: string): boolean };
  allowHalfOpen?: boolean;
  pauseOnConnect?: boolean;
  highWaterMark?: number;
  noDelay?: boolean;
  keepAlive?: boolean;
  /** Seconds. */
  keepAliveInitialDelay?: number;
}

/** `HTTPParser.kOnMessageBegin`: called at the first byte of a message. */
const ON_MESSAGE_BEGIN = 0;

export interface Parser {
  [ON_MESSAGE_BEGIN]?: (() => void) | null;
  /** The request whose body is read; what ends a message ends this one. */
  incoming: IncomingMessage | null;
  /** A head is whole. The request is on its way to the handlers. */
  onIncoming: ((request: IncomingMessage, keepAlive: boolean) => number) | null;
}

/** What `http.Server` hangs on a socket. */
export interface HttpSocket extends Socket {
  parser?: Parser | null;
  /** The answer that is written now; the next only after its `finish`. */
  _httpMessage?: ServerResponse | null;
  server?: unknown;
  _server?: unknown;
}

export interface HandleOptions extends Omit<SocketConstructorOpts, 'handle'> {
  handle: ConnectionHandle;
  /** Not read by the constructor: what it would call is not made yet. */
  manualStart: true;
  readableHighWaterMark: number | undefined;
  writableHighWaterMark: number | undefined;
}

export function onMessageBegin(parser: Parser, listener: () => void): void {
  parser[ON_MESSAGE_BEGIN] = listener;
}

/** Whether the connection is one that Node itself would refuse, or that is not ours to read. */
export function isLeftToNode(server: ListeningServer, client: ConnectionHandle): boolean {
  const { maxConnections, _connections: connections = 0, blockList } = server;
  if (client.getpeername === undefined || client.useUserBuffer === undefined || server.pauseOnConnect) return true;
  if (maxConnections != null && connections >= maxConnections) return true;
  if (!blockList) return false;
  const peer: { address?: string } = {};
  client.getpeername(peer);
  const family = isIP(peer.address ?? '');
  return peer.address === undefined || family === 0 || blockList.check(peer.address, `ipv${family}`);
}

/** Tries it on a request that comes from nowhere: a message begins, its head is whole, its answer is the socket's. */
export function hasHttpInternals(): boolean {
  const seen: string[] = [];
  const server = new Server();
  const socket: HttpSocket & { parser?: { execute?(bytes: Buffer): unknown } | null } = new Socket();
  server.on('request', (_request, response) => {
    if (socket._httpMessage === response) seen.push('answer');
  });
  try {
    server.emit('connection', socket);
    const { parser } = socket;
    if (!parser?.onIncoming || parser.incoming === undefined || parser.execute === undefined) return false;
    const { onIncoming } = parser;
    onMessageBegin(parser, () => seen.push('begin'));
    parser.onIncoming = (request, keepAlive) => {
      seen.push(request.rawHeaders.join());
      return onIncoming(request, keepAlive);
    };
    parser.execute(Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'));
    return seen.join(' ') === 'begin Host,a answer';
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
