// Connections for `http.ts`, on networks that come and go while nobody tells Node.
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';

/**
 * The system asks again after 1, 2, 4, 8 and 16 s of silence: a network that is back would not be noticed for as long. So
 * another connection is begun beside the one that does not come about, and the first to come about is taken.
 */
const ANOTHER_EVERY_MS = 3000;
const MOST_AT_ONCE = 10;
const LOOK_EVERY_MS = 1000;

type OnConnection = (error: Error | null, stream: Duplex) => void;

export function httpAgent(): HttpAgent {
  return new Http({ keepAlive: true });
}

export function httpsAgent(): HttpsAgent {
  return new Https({ keepAlive: true });
}

class Http extends HttpAgent {
  // Types of Node 24: `ClientRequestArgs`; what an agent passes is what `net` takes.
  override createConnection(options: AgentOptions, callback?: OnConnection): undefined {
    race(options as TcpNetConnectOpts, (error, socket) => callback?.(error, socket));
  }
}

class Https extends HttpsAgent {
  override createConnection(options: AgentOptions, callback?: OnConnection): undefined {
    race(options as TcpNetConnectOpts, (error, socket) => {
      if (error) return callback?.(error, socket);
      const secured = super.createConnection({ ...options, socket } as AgentOptions) as Socket;
      const address = watchable.get(socket);
      if (address) watchable.set(secured, address);
      callback?.(null, secured);
    });
  }
}

/** While none has come about they do not keep the process running: whoever waits for one has a timer that does. */
function race(options: TcpNetConnectOpts, callback: (error: Error | null, socket: Socket) => void): void {
  const racers = new Set<Socket>();
  let isOver = false;
  const end = (error: Error | null, socket: Socket) => {
    if (isOver) return;
    isOver = true;
    clearInterval(timer);
    for (const other of racers) if (other !== socket) other.destroy();
    if (error === null) watchable.set(socket.ref(), new LocalAddress(socket.localAddress ?? ''));
    callback(error, socket);
  };
  const begin = () => {
    const socket = connect(options).unref();
    racers.add(socket);
    const fail = (error: Error) => end(error, socket);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      end(null, socket);
    });
    // One that lost the race may still have something to say.
    socket.on('error', () => {});
    if (racers.size >= MOST_AT_ONCE) clearInterval(timer);
  };
  const timer = setInterval(begin, ANOTHER_EVERY_MS).unref();
  begin();
}

/** The address that a connection has on this device. */
class LocalAddress {
  readonly #address: string;
  #wasListed = false;

  constructor(address: string) {
    this.#address = address;
    this.isGone();
  }

  /** Some of loopback are on no list of the system's, and one of a network that came up just now is on it a moment later. */
  isGone(): boolean {
    const isListed = Object.values(networkInterfaces()).some((list) => list?.some((each) => each.address === this.#address));
    this.#wasListed ||= isListed;
    return this.#wasListed && !isListed;
  }
}

const watchable = new WeakMap<Socket, LocalAddress>();

/**
 * Calls once when the address a connection has on this device is gone, as when a phone leaves a Wi-Fi network: whatever is
 * sent over it goes nowhere, and nobody says so. Returns how to stop.
 */
export function onAddressGone(socket: Socket, listener: () => void): () => void {
  const address = watchable.get(socket);
  if (address === undefined) return () => {};
  const timer = setInterval(look, LOOK_EVERY_MS).unref();
  function look(): void {
    if (!address?.isGone()) return;
    clearInterval(timer);
    listener();
  }
  look();
  return () => clearInterval(timer);
}
