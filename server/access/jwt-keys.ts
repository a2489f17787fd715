// The public keys that tokens of others are signed with, which their issuer changes when he likes.
import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose';
import { UploadError } from '../../shared/errors.ts';
import { StartError } from '../runtime/start-error.ts';

/** The keys of one moment. */
export interface KeySet {
  readonly find: JWTVerifyGetKey;
  /** Another number with every change of the keys: what was verified by keys that are gone is verified anew. */
  readonly version: number;
}

/** Where keys come from. */
export interface Keys {
  /** @throws UploadError 503 where there are none that may still be believed */
  current(): Promise<KeySet>;
  /**
   * For a token whose key is not among them: looks again. False: they are the same.
   * @throws UploadError 503 also where it looked a moment ago: a key that was published since is not to be told from none
   */
  renew(known: KeySet): Promise<boolean>;
}

export function secretKey(secret: string): Keys {
  const bytes = new TextEncoder().encode(secret);
  const keys: KeySet = { find: async () => bytes, version: 0 };
  return { current: async () => keys, renew: async () => false };
}

export interface KeyTimes {
  /** After so long they are looked for again, beside the requests. */
  refreshMs: number;
  /** Nor more often than so. */
  pauseMs: number;
  /** So long those are believed that were read last, while there are no newer ones to be had. */
  believedMs: number;
}

const OF_AN_ADDRESS: KeyTimes = { refreshMs: 300_000, pauseMs: 5000, believedMs: 3_600_000 };
/** It is looked at when it is needed, and costs little. */
const OF_A_FILE: KeyTimes = { refreshMs: 5000, pauseMs: 1000, believedMs: 3_600_000 };

export function keysAt(url: string, times: KeyTimes = OF_AN_ADDRESS): Keys {
  return new RefreshedKeys(async () => JSON.parse(await fetchText(url)), times);
}

/** @throws KeyFileUnusable */
export async function keysInFile(path: string, setting: string): Promise<Keys> {
  const keys = new RefreshedKeys(() => readKeyFile(path, setting), OF_A_FILE);
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
    const { refreshMs, believedMs } = this.#times;
    const ageMs = performance.now() - this.#loadedMs;
    if (this.#known === undefined || ageMs >= believedMs) await this.#look();
    // Nobody waits for what is only to be newer.
    else if (ageMs >= refreshMs) this.#look().catch(() => undefined);
    return this.#known ?? this.#unavailable();
  }

  async renew(known: KeySet): Promise<boolean> {
    const waitMs = this.#triedMs + this.#times.pauseMs - performance.now();
    if (this.#known?.version === known.version && this.#loading === undefined && waitMs > 0) this.#unavailable(Math.ceil(waitMs / 1000));
    await this.#look();
    return this.#known !== undefined && this.#known.version !== known.version;
  }

  /** @throws UploadError 503 when it can't be told what they are */
  async #look(): Promise<void> {
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
      // Whoever answers with none has lost them.
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

/** A file with keys that tokens are to be verified by has none in it. */
export class KeyFileUnusable extends StartError {
  override readonly name = 'KeyFileUnusable';
  override readonly code = 'ERR_KEY_FILE_UNUSABLE';
}

const PEM = /-----BEGIN ([A-Z0-9 ]+)-----[\s\S]+?-----END \1-----/g;

/** Every public key and certificate that is in it, in PEM. @throws KeyFileUnusable */
export async function readKeyFile(path: string, setting: string): Promise<JSONWebKeySet> {
  const text = await readFile(path, 'utf8').catch((cause: Error) => {
    throw new KeyFileUnusable(`${setting}: ${path} can not be read (${'code' in cause ? cause.code : cause.message}).`, { cause });
  });
  const blocks = [...text.matchAll(PEM)];
  if (blocks.some(([, label = '']) => label.includes('PRIVATE'))) {
    throw new KeyFileUnusable(
      `${setting}: ${path} has a private key in it. The server takes the public one, and should not have the other.`,
    );
  }
  try {
    const keys = blocks.map(([block]) => createPublicKey(block).export({ format: 'jwk' }));
    if (keys.length > 0) return { keys } as JSONWebKeySet;
  } catch (cause) {
    throw new KeyFileUnusable(`${setting}: A key in ${path} can not be read.`, { cause });
  }
  throw new KeyFileUnusable(`${setting}: There is no public key in ${path}. It is a text that begins with -----BEGIN PUBLIC KEY-----.`);
}
