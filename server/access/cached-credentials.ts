// Credentials in the ledger, cached for a second: for that long a revoked one may still be accepted, in every process.
import type { Credential, Credentials } from '../ledger/credentials.ts';

const FRESH_MS = 1000;
const MAX_CACHED = 10_000;

interface CachedCredential {
  readMs: number;
  credential: Promise<Credential | undefined>;
}

export class CachedCredentials {
  readonly #credentials: Credentials;
  readonly #cached = new Map<string, CachedCredential>();

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  /** Undefined: the ledger has none under this id. */
  get(id: string): Promise<Credential | undefined> {
    const known = this.#cached.get(id);
    const now = performance.now();
    if (known !== undefined && now - known.readMs < FRESH_MS) return known.credential;
    const credential = this.#credentials.get(id);
    // Clients choose the ids, so invented ones must not fill the memory.
    if (this.#cached.size >= MAX_CACHED) this.#cached.clear();
    this.#cached.set(id, { readMs: now, credential });
    credential.catch(() => this.#cached.delete(id));
    return credential;
  }
}
