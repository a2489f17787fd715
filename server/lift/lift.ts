// Node's HTTP parser copies each 64 KiB of a body into a new buffer, which costs more than all else that is done with them. So a server
// whose connections are made here reads long bodies past it, into memory that is used again. Heads, keep-alive, answers, time limits
// and counts stay Node's: the socket is one of Node's own, made as Node makes it.
import { channel } from 'node:diagnostics_channel';
import { Server } from 'node:http';
import { LandingBuffers } from '../staging/landing.ts';
import { LiftingSocket, type LiftOptions } from './lifting-socket.ts';
import { hasInternals, isLeftToNode, type NodeServer } from './node-internals.ts';

export interface Lift extends Pick<LiftOptions, 'onFault'> {
  /** Once, where this Node is not one that the lift is made for. */
  onMissing(): void;
  /** @default 128 KiB: below, a body has come before there is anything to gain */
  fromBytes?: number;
}

const lifting = new WeakSet<Server>();
const buffers = new LandingBuffers();
const connections = channel('net.server.socket');

/** Has the server's connections lift long bodies. TLS, pipes and connections that it has already stay as they are. */
export function liftBodies(server: NodeServer, { onMissing, onFault, fromBytes = 128 * 1024 }: Lift): void {
  if (!(server instanceof Server) || lifting.has(server)) return;
  lifting.add(server);
  const isPossible = hasInternals();
  const wrap = () => {
    if (!isPossible || !wrapConnections(server, { buffers, fromBytes, onFault })) onMissing();
  };
  if (server.listening) wrap();
  server.on('listening', wrap);
}

/** Returns whether there is what the system calls for each connection. */
function wrapConnections(server: NodeServer, options: LiftOptions): boolean {
  const { _handle: handle } = server;
  const original = handle?.onconnection;
  if (handle === undefined || original === undefined || server._connections === undefined) return false;
  handle.onconnection = function (error, client) {
    if (error || client === undefined || isLeftToNode(server, client)) {
      original.call(this, error, client);
      return;
    }
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
