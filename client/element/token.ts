// The token that all requests of the element carry: given by the page, or asked for when the server wants one.
import type { HeadersRequest, UploadHeaders, UploadOptions } from '../options.ts';

export interface TokenRequest {
  /** `unauthorized`: the server wants one, and what it was shown before (nothing, maybe) does not count. */
  readonly reason: HeadersRequest['reason'];
}

/** Nothing: there is none. What it throws is tried again, as a network that failed. */
export type GetToken = (request: TokenRequest) => string | null | undefined | Promise<string | null | undefined>;

type Token = string | undefined;

export class TokenSource {
  #given: Token;
  #ask: GetToken | undefined;
  #current: Promise<Token> | undefined;
  #renewing: Promise<Token> | undefined;

  get given(): Token {
    return this.#given;
  }

  set given(token: string | null | undefined) {
    this.#given = token || undefined;
    this.#current = undefined;
  }

  get ask(): GetToken | undefined {
    return this.#ask;
  }

  set ask(ask: GetToken | undefined) {
    this.#ask = ask;
    this.#current = undefined;
  }

  current(): Promise<Token> {
    this.#current ??= this.#keep(this.#fetch('request'));
    return this.#current;
  }

  /**
   * After a 401. It is asked for once, however many uploads need it.
   * @param refused what the request was sent with: another may have asked for a new one since
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

  /** Beside what the page sends itself. */
  headersFor(base: UploadOptions['headers']): UploadOptions['headers'] {
    if (this.#given === undefined && this.#ask === undefined) return base;
    return async (request) => ({ ...(await headersOf(base, request)), ...(await this.#authorization(request)) });
  }

  async #authorization({ reason, refused }: HeadersRequest): Promise<UploadHeaders> {
    return bearer(await (reason === 'unauthorized' ? this.renewed(tokenIn(refused)) : this.current()));
  }

  async #fetch(reason: TokenRequest['reason']): Promise<Token> {
    return (await this.#ask?.({ reason })) || this.#given;
  }

  /** What failed is asked for again. */
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
