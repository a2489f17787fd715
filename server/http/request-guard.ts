// Node's `requestTimeout` cuts every request that takes longer than five minutes, honest slow uploads included. Switched off for the
// whole server it would leave an application's own routes open to a sender who brings a byte a minute. So it is switched off, and
// put back for every request that Landfall does not answer: a silent body of Landfall's own is cut by `bodyTimeout`.
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { mayHaveBody } from '../tus/headers.ts';

/** Longer than the minute that load balancers commonly keep a connection: they must be the ones to close it. */
export const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How long the rest of a request's body may take once the request was answered. */
const REST_OF_BODY_MS = 2000;

const ours = new WeakSet<IncomingMessage>();

/** Requests that Landfall answers, and whose bodies it holds to its own limits. */
export function claim(request: IncomingMessage): void {
  ours.add(request);
}

/**
 * Cuts a connection whose request was answered and whose body does not end soon: Node reads it to its end, however long
 * that takes, and a sender could hold the connection by a byte now and then.
 */
export function cutAnsweredBody(request: IncomingMessage, response: ServerResponse): void {
  response.once('finish', () => {
    if (request.complete) return;
    const timer = setTimeout(() => {
      if (!request.complete) request.socket.destroy();
    }, REST_OF_BODY_MS);
    timer.unref();
    request.once('close', () => clearTimeout(timer));
  });
}

/** Prepares the server that hands requests to Landfall, maybe among others. To be called before its first request. */
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

// Answering while the body is still coming: Node would read the rest of the body first, and browsers show the answer only once the
// connection closes; closing at once makes a reset overtake the answer.

/** How long what was on its way is read and thrown away after the answer. */
const LINGER_MS = 2000;

/** To be called before the answer: it closes our half behind it, reads on for a bounded time, and then destroys the connection. */
export function closeAfterAnswer(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  response.setHeader('Connection', 'close');
  // Node calls `destroySoon` after the last byte of an answer that closes; what it would do is destroy, hence reset.
  socket.destroySoon = () => {
    socket.end();
    const timer = setTimeout(() => socket.destroy(), LINGER_MS);
    socket.once('close', () => clearTimeout(timer));
    request.resume();
  };
}
