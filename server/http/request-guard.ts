// Node's `requestTimeout` cuts every request that takes longer than five minutes, honest slow uploads included. Without it, a sender
// of one byte a minute could hold connections to an application's own routes. So the server's limit is turned off, and is enforced
// here for every request that Landfall does not answer. Landfall's own silent bodies are cut by `bodyTimeout`.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { mayHaveBody } from '../tus/headers.ts';

/** Longer than the minute for which load balancers commonly keep a connection, so that they close it first. */
export const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How long the rest of a request's body may take after the answer. */
const REST_OF_BODY_MS = 2000;

const ours = new WeakSet<IncomingMessage>();

/** Marks a request that Landfall answers, and whose body has limits of its own. */
export function claim(request: IncomingMessage): void {
  ours.add(request);
}

/**
 * Cuts the connection when the body does not end soon after its request was answered. Node reads a body to its end, however long that
 * takes, so a sender could hold the connection with one byte now and then.
 */
export function cutAnsweredBody(request: IncomingMessage, response: ServerResponse): void {
  response.on('finish', () => {
    if (request.complete) return;
    const timer = setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, REST_OF_BODY_MS);
    timer.unref();
    request.once('close', () => clearTimeout(timer));
  });
}

/** Prepares the server that passes requests to Landfall, perhaps among others. Call before its first request. */
export function guardRequests(server: Server): void {
  const limitMs = server.requestTimeout;
  server.requestTimeout = 0;
  server.keepAliveTimeout = Math.max(server.keepAliveTimeout, KEEP_ALIVE_TIMEOUT_MS);
  if (limitMs === 0) return;
  server.prependListener('request', (request: IncomingMessage) => {
    if (!mayHaveBody(request)) return;
    const timer = setTimeout(() => {
      if (!request.complete && !ours.has(request)) request.socket.destroy();
    }, limitMs);
    timer.unref();
    request.once('close', () => clearTimeout(timer));
  });
}

// Answers while the body is still coming: Node would read the rest of the body first, and browsers show the answer only once the
// connection closes. Closing immediately would let a reset overtake the answer.

/** How long incoming bytes are read and discarded after the answer. */
const LINGER_MS = 2000;

/** Call before the answer. Closes our half of the connection after it, reads on for a bounded time, and then destroys the connection. */
export function closeAfterAnswer(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  response.setHeader('Connection', 'close');
  // Node calls `destroySoon` after the last byte of an answer that closes the connection; its own version resets the connection.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(timer));
    request.resume();
  };
}
