// Node's HTTP parser copies each 64 KiB of a body into a new buffer, which costs more than all other work on these bytes. The lift makes
// the connections of a server itself, and reads long bodies past the parser into memory that it reuses. Node still handles heads,
// keep-alive, responses, timeouts and connection counts: the socket is a `net.Socket`, made as Node makes it.
import { channel } from 'node:diagnostics_channel';
import { Server } from 'node:http';
import { LoopTurns } from '../runtime/loop-turns.ts';
import { LandingBuffers } from '../staging/landing.ts';
import { LiftingSocket, type LiftOptions } from './lifting-socket.ts';
import { hasInternals, isLeftToNode, type NodeServer } from './node-internals.ts';

export interface Lift extends Pick<LiftOptions, 'onFault'> {
  /** Called when this version of Node lacks the internals that the lift needs. */
  onMissing(): void;
  /** Bytes; the parser reads shorter bodies, because they have arrived before the lift could gain anything. @default 128 KiB */
  fromBytes?: number;
}

const lifting = new WeakSet<Server>();
const buffers = new LandingBuffers();
const departures = new LoopTurns();
const connections = channel('net.server.socket');

/** Lifts long bodies on all new connections of the server. TLS, pipes and existing connections stay as they are. */
export function liftBodies(server: NodeServer, { onMissing, onFault, fromBytes = 128 * 1024 }: Lift): void {
  if (!(server instanceof Server) || lifting.has(server)) return;
  lifting.add(server);
  const isPossible = hasInternals();
  const unlisted = new Set<LiftingSocket>();
  const { closeAllConnections } = server;
  server.closeAllConnections = () => {
    closeAllConnections.call(server);
    for (const socket of unlisted) socket.destroy();
  };
  const wrap = () => {
    if (!isPossible || !wrapConnections(server, { buffers, departures, unlisted, fromBytes, onFault })) onMissing();
  };
  if (server.listening) wrap();
  server.on('listening', wrap);
}

/** Returns false when the server's handle lacks the callback for new connections. */
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
