// Connections for `http.ts`. Node reports no network changes, so this file detects dead connections itself.
import { type AgentOptions, Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { connect, type Socket, type TcpNetConnectOpts } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Duplex } from 'node:stream';

/**
 * The operating system repeats a connection request after 1, 2, 4, 8 and 16 s, so it could take 16 s to notice that the network is
 * back. So this file opens another connection every 3 s and uses the first that succeeds.
 */
const ANOTHER_EVERY_MS = 3000;
const MAX_AT_ONCE = 10;
const CHECK_EVERY_MS = 1000;

type OnConnection = (error: Error | null, stream: Duplex) => void;

export function httpAgent(): HttpAgent {
  return new RacingHttpAgent({ keepAlive: true });
}

export function httpsAgent(): HttpsAgent {
  return new RacingHttpsAgent({ keepAlive: true });
}

class RacingHttpAgent extends HttpAgent {
  // Node 24 types the options as `ClientRequestArgs`, but agents pass the options of `net.connect`.
  override createConnection(options: AgentOptions, callback?: OnConnection): undefined {
    connectRacing(options as TcpNetConnectOpts, (error, socket) => callback?.(error, socket));
  }
}

class RacingHttpsAgent extends HttpsAgent {
  override createConnection(options: AgentOptions, callback?: OnConnection): undefined {
    connectRacing(options as TcpNetConnectOpts, (error, socket) => {
      if (error) return callback?.(error, socket);
      const secured = super.createConnection({ ...options, socket } as AgentOptions) as Socket;
      const address = localAddresses.get(socket);
      if (address) localAddresses.set(secured, address);
      callback?.(null, secured);
    });
  }
}

/** Connection attempts do not keep the process running: the request that waits for them has a timer that does. */
function connectRacing(options: TcpNetConnectOpts, callback: (error: Error | null, socket: Socket) => void): void {
  const racers = new Set<Socket>();
  let isOver = false;
  const finish = (error: Error | null, socket: Socket) => {
    if (isOver) return;
    isOver = true;
    clearInterval(timer);
    for (const other of racers) if (other !== socket) other.destroy();
    if (error === null) localAddresses.set(socket.ref(), new LocalAddress(socket.localAddress ?? ''));
    callback(error, socket);
  };
  const connectOnce = () => {
    const socket = connect(options).unref();
    racers.add(socket);
    const fail = (error: Error) => finish(error, socket);
    socket.once('error', fail);
    socket.once('connect', () => {
      socket.off('error', fail);
      finish(null, socket);
    });
    // A socket that lost the race may still emit errors.
    socket.on('error', () => {});
    if (racers.size >= MAX_AT_ONCE) clearInterval(timer);
  };
  const timer = setInterval(connectOnce, ANOTHER_EVERY_MS).unref();
  connectOnce();
}

/** The address of a connection on this device. */
class LocalAddress {
  readonly #address: string;
  #wasListed = false;

  constructor(address: string) {
    this.#address = address;
    this.isGone();
  }

  /** Only an address that was listed before can be gone: loopback addresses may never be listed, and new ones only after a moment. */
  isGone(): boolean {
    const isListed = Object.values(networkInterfaces()).some((list) => list?.some((each) => each.address === this.#address));
    this.#wasListed ||= isListed;
    return this.#wasListed && !isListed;
  }
}

const localAddresses = new WeakMap<Socket, LocalAddress>();

/**
 * Calls the listener once when the device loses the local address of a connection, as when a phone leaves a Wi-Fi network. Bytes sent
 * over such a connection are lost without an error. Returns a function that unsubscribes.
 */
export function onAddressGone(socket: Socket, listener: () => void): () => void {
  const address = localAddresses.get(socket);
  if (address === undefined) return () => {};
  const timer = setInterval(check, CHECK_EVERY_MS).unref();
  function check(): void {
    if (!address?.isGone()) return;
    clearInterval(timer);
    listener();
  }
  check();
  return () => clearInterval(timer);
}
