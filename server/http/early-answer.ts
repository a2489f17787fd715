// Answering while the body is still coming. Node would read the rest of the body first, and browsers show the answer only
// once the connection closes; closing at once makes a reset overtake the answer.
import type { IncomingMessage, ServerResponse } from 'node:http';

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
