// Which names the server answers to, and which pages may change anything on it. Two rules keep foreign pages out:
//
// Host. A page of evil.example can point its own name at 127.0.0.1 (DNS rebinding): from then on the browser takes this server
// for evil.example's own, and no rule about origins holds. So a server that knows its names answers to those alone. IP
// addresses pass: a name is what rebinding needs. An embedded server leaves this to its application, whose names it does not know.
//
// Origin. A page can send a form to any address the browser reaches, loopback and the office network included, without asking
// (no preflight), and the file is planted. So a request that changes something must come from a page of this server or of a listed
// origin. Browsers say where a request comes from in `Sec-Fetch-Site` (on trustworthy addresses) and in `Origin`; pages can forge
// neither. A client that sends neither is no browser: nobody is tricked into running it.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { UploadError } from '../../shared/errors.ts';

export interface OriginsOptions {
  /** Names that the server answers to beside `localhost` and IP addresses, in lower case; undefined: to any. */
  hosts: readonly string[] | undefined;
  /** Origins whose pages may use the server, as browsers send them; `*`: any, without cookies. */
  origins: readonly string[];
  /** Configured address of the server, or empty. */
  publicUrl: string;
  /** The server listens on a loopback address by itself: pages of other servers on this machine are its own. */
  isLoopback: boolean;
}

/** How an origin came to be allowed: pages of a listed one may send cookies along. */
export type Allowance = 'listed' | 'own' | 'any';

export class Origins {
  readonly #options: OriginsOptions;
  readonly #publicHost: string | undefined;
  /** What `Host` said when it was one of this server's: nearly every request says the same. */
  #knownHost: string | undefined;

  constructor(options: OriginsOptions) {
    this.#options = options;
    this.#publicHost = URL.parse(options.publicUrl)?.host;
  }

  /** @throws UploadError 421 ERR_UNKNOWN_HOST when the request names a host that this server does not answer to */
  requireKnownHost(request: IncomingMessage): void {
    const { hosts } = this.#options;
    const { host } = request.headers;
    // Only HTTP/1.0 may leave it out, which no browser speaks.
    if (hosts === undefined || host === undefined || host === this.#knownHost) return;
    const name = URL.parse(`http://${host}`)?.hostname.replace(/\.$/, '') ?? '';
    const isKnown = name === 'localhost' || isIP(name.replace(/^\[(.*)\]$/, '$1')) !== 0 || hosts.includes(name);
    if (isKnown) this.#knownHost = host;
    else throw new UploadError('ERR_UNKNOWN_HOST', { detail: 'If it should be, its operator adds the name to LANDFALL_HOSTS.' });
  }

  /**
   * For requests that change something.
   * @throws UploadError 403 ERR_FOREIGN_ORIGIN when a page of another origin sent it that is not listed
   */
  requireAllowedOrigin(request: IncomingMessage): void {
    const { origin, 'sec-fetch-site': site } = request.headers;
    if (site === 'same-origin' || site === 'none') return;
    if (origin === undefined && site === undefined) return;
    const allowance = this.allowanceOf(request);
    // With `*` anybody's page may come, but not in the name of a person who is signed in here.
    if (allowance === undefined || (allowance === 'any' && request.headers.cookie !== undefined)) {
      throw new UploadError('ERR_FOREIGN_ORIGIN', { detail: 'If it should, the operator adds its origin to LANDFALL_CORS_ORIGINS.' });
    }
  }

  /** Why the request's origin may use this server; undefined: it may not, or there is none. */
  allowanceOf({ headers: { origin, host } }: IncomingMessage): Allowance | undefined {
    const { origins, isLoopback } = this.#options;
    if (origin === undefined) return undefined;
    if (origins.includes(origin)) return 'listed';
    const from = URL.parse(origin);
    // `http:` alone has its default port left out of `host`: the other side is read under the same scheme.
    if (from !== null && from.host !== '') {
      if (from.host === this.#publicHost || from.host === URL.parse(`${from.protocol}//${host}`)?.host) return 'own';
      if (isLoopback && isLoopbackName(from.hostname)) return 'own';
    }
    return origins.includes('*') ? 'any' : undefined;
  }
}

/** Whether a host name or address is this machine itself. */
export function isLoopbackName(name: string): boolean {
  return name === 'localhost' || /^\[?::1\]?$/.test(name) || /^127(?:\.\d{1,3}){3}$/.test(name);
}
