// Anonymous senders: all are one owner. Limits on amounts tell them apart by their addresses.
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { NO_LIMITS } from '../ledger/limits.ts';
import type { AccessSource } from './identity.ts';

/** @param addresses finds the address of a request; requests from this machine are not counted */
export function anonymousSource(addresses: ClientAddresses): AccessSource {
  return {
    async identify(request) {
      const address = addresses.of(request);
      const quota = address === '' || isLoopback(address) ? '' : `address:${networkOf(address)}`;
      return { owner: '', source: 'anonymous', credential: null, quota, limits: NO_LIMITS, isConfined: false, isByHeader: false };
    },
  };
}

/** Finds the addresses of clients, also behind trusted proxies. */
export class ClientAddresses {
  readonly #trusted: BlockList;
  readonly #hasTrusted: boolean;

  /** @param proxies addresses, or networks such as 10.0.0.0/8, whose `X-Forwarded-For` is trusted */
  constructor(proxies: readonly string[]) {
    this.#trusted = new BlockList();
    this.#hasTrusted = proxies.length > 0;
    for (const proxy of proxies) {
      const [address = '', prefix] = proxy.split('/');
      const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
      if (prefix === undefined) this.#trusted.addAddress(address, family);
      else this.#trusted.addSubnet(address, Number(prefix), family);
    }
  }

  /** The last address on the way that is not a trusted proxy; '' for a socket without an address. */
  of(request: IncomingMessage): string {
    let address = plain(request.socket.remoteAddress ?? '');
    if (!this.#hasTrusted) return address;
    const field = request.headers['x-forwarded-for'];
    const forwarded = (Array.isArray(field) ? field.join(',') : (field ?? '')).split(',').map((item) => plain(item.trim()));
    while (this.#isTrusted(address)) {
      const before = forwarded.pop();
      if (before === undefined || isIP(before) === 0) break;
      address = before;
    }
    return address;
  }

  /** True when the request comes from this machine, or through an untrusted proxy on it. */
  isThisMachine(request: IncomingMessage): boolean {
    return isLoopback(this.of(request));
  }

  #isTrusted(address: string): boolean {
    return isIP(address) !== 0 && this.#trusted.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  }
}

/** Plain IPv4, also when the socket is one of both families. */
function plain(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/i, '');
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

/** The address or network that counts as one sender: with IPv6, each sender has a network of 64 bits. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  const [head = '', tail = ''] = address.split('%', 1)[0]?.split('::') ?? [];
  const left = head.split(':').filter((group) => group !== '');
  const right = tail.split(':').filter((group) => group !== '');
  const groups = address.includes('::') ? [...left, ...Array(8 - left.length - right.length).fill('0'), ...right] : left;
  return `${groups
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
