// The public keys that verify tokens of other issuers, who may change their keys at any time.
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { UploadError } from '../../shared/errors.ts';
import { StartError } from '../runtime/start-error.ts';

/** The keys at one moment. */
export interface KeySet {
  readonly find: JWTVerifyGetKey;
  /** A new number with every change of the keys: tokens that removed keys have verified are verified again. */
  readonly version: number;
}

/** A source of keys. */
export interface Keys {
  /** @throws UploadError 503 when there are no keys, or they are too old to be trusted */
  current(): Promise<KeySet>;
  /**
   * Loads the keys again, for a token whose key is unknown. False: the keys have not changed.
   * @throws UploadError 503 also shortly after another load, because a key may have been published since
   */
  renew(known: KeySet): Promise<boolean>;
}

export function secretKey(secret: string): Keys {
  const bytes = new TextEncoder().encode(secret);
  const keys: KeySet = { find: async () => bytes, version: 0 };
  return { current: async () => keys, renew: async () => false };
}

export interface KeyTimes {
  /** Keys older than this are loaded again in the background. */
  refreshMs: number;
  /** Shortest pause between two loads. */
  pauseMs: number;
  /** Keys are trusted up to this age while newer ones cannot be loaded. */
  maxAgeMs: number;
}

const ADDRESS_TIMES: KeyTimes = { refreshMs: 300_000, pauseMs: 5000, maxAgeMs: 3_600_000 };
/** A file is read only when it is needed, and that is cheap. */
const FILE_TIMES: KeyTimes = { refreshMs: 5000, pauseMs: 1000, maxAgeMs: 3_600_000 };

export function keysAt(url: string, times: KeyTimes = ADDRESS_TIMES): Keys {
  return new RefreshedKeys(async () => JSON.parse(await fetchText(url)), times);
}

/** @throws KeyFileUnusable */
export async function keysInFile(path: string, setting: string): Promise<Keys> {
  const keys = new RefreshedKeys(() => readKeyFile(path, setting), FILE_TIMES);
  await keys.current().catch((error: unknown) => {
    throw error instanceof UploadError && error.cause instanceof StartError ? error.cause : error;
  });
  return keys;
}

class RefreshedKeys implements Keys {
  readonly #load: () => Promise<JSONWebKeySet>;
  readonly #times: KeyTimes;
  #known: (KeySet & { readonly text: string }) | undefined;
  #loadedMs = 0;
  #triedMs = Number.NEGATIVE_INFINITY;
  #loading: Promise<void> | undefined;
  #fault: unknown;

  constructor(load: () => Promise<JSONWebKeySet>, times: KeyTimes) {
    this.#load = load;
    this.#times = times;
  }

  async current(): Promise<KeySet> {
    const { refreshMs, maxAgeMs } = this.#times;
    const ageMs = performance.now() - this.#loadedMs;
    if (this.#known === undefined || ageMs >= maxAgeMs) await this.#refresh();
    // Requests do not wait for a reload in the background.
    else if (ageMs >= refreshMs) this.#refresh().catch(() => undefined);
    return this.#known ?? this.#unavailable();
  }

  async renew(known: KeySet): Promise<boolean> {
    const waitMs = this.#triedMs + this.#times.pauseMs - performance.now();
    if (this.#known?.version === known.version && this.#loading === undefined && waitMs > 0) this.#unavailable(Math.ceil(waitMs / 1000));
    await this.#refresh();
    return this.#known !== undefined && this.#known.version !== known.version;
  }

  /** @throws UploadError 503 when the keys cannot be loaded */
  async #refresh(): Promise<void> {
    if (this.#loading === undefined && performance.now() - this.#triedMs >= this.#times.pauseMs) {
      this.#triedMs = performance.now();
      this.#loading = this.#reload().finally(() => {
        this.#loading = undefined;
      });
    }
    await this.#loading;
    if (this.#fault !== undefined) this.#unavailable();
  }

  async #reload(): Promise<void> {
    try {
      const jwks = await this.#load();
      const text = JSON.stringify(jwks);
      const find = createLocalJWKSet(jwks);
      // A key set without any key is a fault of the issuer.
      if (jwks.keys.length === 0) throw new Error('There is no key in the key set.');
      if (text !== this.#known?.text) this.#known = { find, text, version: (this.#known?.version ?? 0) + 1 };
      this.#loadedMs = performance.now();
      this.#fault = undefined;
    } catch (error) {
      this.#fault = error;
    }
  }

  #unavailable(retryAfterSeconds = 5): never {
    throw new UploadError('ERR_ACCESS_UNAVAILABLE', { cause: this.#fault, retryAfterSeconds });
  }
}

const FETCH_TIMEOUT_MS = 5000;
const MAX_BYTES = 256 * 1024;

async function fetchText(url: string): Promise<string> {
  const signal = AbortSignal.timeout(FETCH_TIMEOUT_MS);
  const response = await fetch(url, { redirect: 'error', headers: { Accept: 'application/json' }, signal });
  if (response.status !== 200 || response.body === null) {
    await response.body?.cancel();
    throw new Error(`${url} answered ${response.status}.`);
  }
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of response.body) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) throw new Error(`${url} answered more than ${MAX_BYTES} bytes.`);
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** A key file has no usable public key. */
export class KeyFileUnusable extends StartError {
  override readonly name = 'KeyFileUnusable';
  override readonly code = 'ERR_KEY_FILE_UNUSABLE';
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;

/** Every public key and certificate in a PEM file. @throws KeyFileUnusable */
export async function readKeyFile(path: string, setting: string): Promise<JSONWebKeySet> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new KeyFileUnusable(`${setting}: ${path} cannot be read (${'code' in cause ? cause.code : cause.message}).`, { cause });
  });
  const blocks = [...text.matchAll(PEM)];
  if (blocks.some(([, label = '']) => label.includes('PRIVATE'))) {
    throw new KeyFileUnusable(
      `${setting}: ${path} contains a private key. Write the path of the public key; the server should not have the private one.`,
    );
  }
  try {
    const keys = blocks.map(([block]) => createPublicKey(block).export({ format: 'jwk' }));
    if (keys.length > 0) return { keys } as JSONWebKeySet;
  } catch (cause) {
    throw new KeyFileUnusable(`${setting}: A key in ${path} cannot be read.`, { cause });
  }
  throw new KeyFileUnusable(`${setting}: ${path} contains no public key. A public key begins with -----BEGIN PUBLIC KEY-----.`);
}
