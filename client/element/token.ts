// The token that all requests of the element carry. The page sets it, or `getToken` returns it when the server requires one.
import type { HeadersRequest, UploadHeaders, UploadOptions } from '../options.ts';

/**
 * The argument of the element's `getToken`.
 *
 * @example
 * ```ts
 * import type { GetToken, TokenRequest } from 'landfall/element';
 *
 * const isAgain = ({ reason }: TokenRequest) => reason === 'unauthorized';
 * const getToken: GetToken = (request) => (isAgain(request) ? prompt('Your key') : sessionStorage.getItem('key'));
 * ```
 */
export interface TokenRequest {
  /** `unauthorized`: the server requires a token, or refused the last one. `request`: a token is needed for the first time. */
  readonly reason: HeadersRequest['reason'];
}

/** Returns the token, or nothing when there is none. When it throws, it is called again, as after a network failure. */
export type GetToken = (request: TokenRequest) => string | null | undefined | Promise<string | null | undefined>;

type Token = string | undefined;

export class TokenSource {
  #token: Token;
  #getToken: GetToken | undefined;
  #current: Promise<Token> | undefined;
  #renewing: Promise<Token> | undefined;

  get token(): Token {
    return this.#token;
  }

  set token(token: string | null | undefined) {
    this.#token = token || undefined;
    this.#current = undefined;
  }

  get getToken(): GetToken | undefined {
    return this.#getToken;
  }

  set getToken(getToken: GetToken | undefined) {
    this.#getToken = getToken;
    this.#current = undefined;
  }

  current(): Promise<Token> {
    this.#current ??= this.#keep(this.#fetch('request'));
    return this.#current;
  }

  /**
   * Returns a new token after a 401. Calls `getToken` once, however many uploads need the token.
   * @param refused the token of the request; another upload may already have renewed it
   */
  renewed(refused: Token): Promise<Token> {
    const before = this.current();
    this.#renewing ??= (async () => {
      const known = await before.catch(() => refused);
      return known === refused ? this.#fetch('unauthorized') : known;
    })().finally(() => {
      this.#renewing = undefined;
    });
    this.#current = this.#keep(this.#renewing);
    return this.#current;
  }

  /** The page's own headers and the token. */
  headersFor(base: UploadOptions['headers']): UploadOptions['headers'] {
    if (this.#token === undefined && this.#getToken === undefined) return base;
    return async (request) => ({ ...(await headersOf(base, request)), ...(await this.#authorization(request)) });
  }

  async #authorization({ reason, refused }: HeadersRequest): Promise<UploadHeaders> {
    return bearer(await (reason === 'unauthorized' ? this.renewed(tokenIn(refused)) : this.current()));
  }

  async #fetch(reason: TokenRequest['reason']): Promise<Token> {
    return (await this.#getToken?.({ reason })) || this.#token;
  }

  /** Keeps the token, unless `getToken` failed. */
  #keep(asked: Promise<Token>): Promise<Token> {
    asked.catch(() => {
      if (this.#current === asked) this.#current = undefined;
    });
    return asked;
  }
}

export function bearer(token: Token): UploadHeaders {
  return token === undefined ? {} : { Authorization: `Bearer ${token}` };
}

export async function headersOf(headers: UploadOptions['headers'], request: HeadersRequest): Promise<UploadHeaders> {
  return typeof headers === 'function' ? headers(request) : (headers ?? {});
}

function tokenIn(headers: UploadHeaders = {}): Token {
  return headers.Authorization?.replace(/^Bearer /, '');
}
