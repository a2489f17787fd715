// Node's HTTP parser copies each 64 KiB of a body into a new buffer, which costs more than everything else that is done with them.
// So a server whose connections are made here reads long bodies past it, in memory that is used again: half of the processor time of
// a large upload. Heads, keep-alive, answers, time limits and counts stay Node's: the socket is one of Node's own.
import { channel } from 'node:diagnostics_channel';
import { Server } from 'node:http';
import { LandingBuffers } from './landing-buffers.ts';
import { LiftingSocket, type LiftOptions } from './lifting-socket.ts';
import { hasHttpInternals, isLeftToNode, type ListeningServer } from './node-internals.ts';

export interface Lift extends Omit<LiftOptions, 'buffers' | 'fromBytes'> {
  /** @default 128 KiB: below, a body has come before there is anything to gain */
  fromBytes?: number;
  /** Once, where this Node is not one that the lift is made for. */
  onMissing(): void;
}

const FROM_BYTES = 128 * 1024;
const lifting = new WeakSet<Server>();
const buffers = new LandingBuffers();
const connections = channel('net.server.socket');

/** Has the server's connections lift long bodies. TLS, pipes and connections it has already stay as they are. */
export function liftBodies(server: Server, { onMissing, onFault, fromBytes = FROM_BYTES }: Lift): void {
  if (!(server instanceof Server) || lifting.has(server)) return;
  lifting.add(server);
  if (!hasHttpInternals()) {
    onMissing();
    return;
  }
  const wrap = () => {
    if (!wrapConnections(server, { buffers, fromBytes, onFault })) onMissing();
  };
  if (server.listening) wrap();
  server.on('listening', wrap);
}

/** What the server's handle calls for each connection. Returns whether there is such a thing. */
function wrapConnections(server: ListeningServer, options: LiftOptions): boolean {
  const { _handle: handle, _connections: count } = server;
  const original = handle?.onconnection;
  if (handle === undefined || original === undefined || count === undefined) return false;
  handle.onconnection = function (error, client) {
    if (error || client === undefined || isLeftToNode(server, client)) {
      original.call(this, error, client);
      return;
    }
    // Or the parser would read the connection itself.
    client._consumed = true;
    const socket = new LiftingSocket(client, server, options);
    if (server.noDelay) socket.setNoDelay(true);
    if (server.keepAlive) socket.setKeepAlive(true, (server.keepAliveInitialDelay ?? 0) * 1000);
    server._connections = (server._connections ?? 0) + 1;
    socket.server = server;
    socket._server = server;
    server.emit('connection', socket);
    if (socket.parser) socket.follow(socket.parser);
    connections.publish({ socket });
  };
  return true;
}
