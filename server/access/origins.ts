// Which names the server answers to, and which pages may change anything on it. Two rules keep foreign pages out:
//
// Host. A page of evil.example can point its own name at 127.0.0.1 (DNS rebinding). The browser then takes this server for
// evil.example, and rules about origins do not help. So a server that knows its names answers only to those. IP addresses pass,
// because rebinding needs a name. An embedded server leaves this check to its application, which knows its names.
//
// Origin. A page can send a form to any address that the browser reaches, loopback and the office network included, without a
// preflight, and so plant a file. So a request that changes something must come from a page of this server or of a listed origin.
// Browsers say where a request comes from in `Sec-Fetch-Site` (on trustworthy addresses) and in `Origin`, and pages can forge
// neither. A client that sends neither is no browser, so no page has tricked a person into sending the request.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { UploadError } from '../../shared/errors.ts';

export interface OriginsOptions {
  /** Names that the server answers to besides `localhost` and IP addresses, in lower case; undefined: any. */
  hosts: readonly string[] | undefined;
  /** Origins whose pages may use the server, as browsers send them; `*`: any, without cookies. */
  origins: readonly string[];
  /** The server's configured address, or empty. */
  publicUrl: string;
  /** The server itself listens on a loopback address: pages of other servers on this machine count as its own. */
  isLoopback: boolean;
}

/** Why an origin is allowed: only pages of a listed origin may send cookies. */
export type Allowance = 'listed' | 'own' | 'any';

export class Origins {
  readonly #options: OriginsOptions;
  readonly #publicHost: string | undefined;
  /** The last `Host` that was accepted: nearly every request has the same. */
  #knownHost: string | undefined;

  constructor(options: OriginsOptions) {
    this.#options = options;
    this.#publicHost = URL.parse(options.publicUrl)?.host;
  }

  /** @throws UploadError 421 ERR_UNKNOWN_HOST when the request names a host that this server does not answer to */
  requireKnownHost(request: IncomingMessage): void {
    const { hosts } = this.#options;
    const { host } = request.headers;
    // Only HTTP/1.0 may omit it, and no browser speaks HTTP/1.0.
    if (hosts === undefined || host === undefined || host === this.#knownHost) return;
    const name = URL.parse(`http://${host}`)?.hostname.replace(/\.$/, '') ?? '';
    const isKnown = name === 'localhost' || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || hosts.includes(name);
    if (isKnown) this.#knownHost = host;
    else throw new UploadError('ERR_UNKNOWN_HOST', { detail: 'The operator can add the name to LANDFALL_HOSTS.' });
  }

  /**
   * For requests that change something.
   * @throws UploadError 403 ERR_FOREIGN_ORIGIN for a page of another origin that is not listed
   */
  requireAllowedOrigin(request: IncomingMessage): void {
    const { origin, 'sec-fetch-site': site } = request.headers;
    if (site === 'same-origin' || site === 'none') return;
    if (origin === undefined && site === undefined) return;
    const allowance = this.allowanceOf(request);
    // With `*` any page may upload, but not with the cookies of a person who is signed in here.
    if (allowance === undefined || (allowance === 'any' && request.headers.cookie !== undefined)) {
      throw new UploadError('ERR_FOREIGN_ORIGIN', { detail: 'The operator can add the origin to LANDFALL_CORS_ORIGINS.' });
    }
  }

  /** Why the request's origin may use this server; undefined: it may not, or the request has no origin. */
  allowanceOf({ headers: { origin, host } }: IncomingMessage): Allowance | undefined {
    const { origins, isLoopback } = this.#options;
    if (origin === undefined) return undefined;
    if (origins.includes(origin)) return 'listed';
    const from = URL.parse(origin);
    // `host` omits the default port of its scheme, so it is parsed with the origin's scheme.
    if (from !== null && from.host !== '') {
      if (from.host === this.#publicHost || from.host === URL.parse(`${from.protocol}//${host}`)?.host) return 'own';
      if (isLoopback && isLoopbackName(from.hostname)) return 'own';
    }
    return origins.includes('*') ? 'any' : undefined;
  }
}

/** True when a host name or address is this machine. */
export function isLoopbackName(name: string): boolean {
  return name === 'localhost' || /^\[?::1\]?$/.test(name) || /^127(?:\.\d{1,3}){3}$/.test(name);
}
