// Signatures by the Standard Webhooks specification. Its libraries only sign with shared keys, so both kinds are made here; the
// tests verify with those libraries.
import { createHmac, createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto';
import { parseWebhookSecret, type WebhookSecret } from '../config/webhook-secret.ts';

/** The encoding of an Ed25519 private key before its seed (RFC 8410, 7). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

export class Signatures {
  readonly #signers: ((content: string) => string)[];
  /** The public keys of the private ones, as `whpk_` and base64: receivers verify with them. */
  readonly publicKeys: readonly string[];

  /** @param secrets as configured */
  constructor(secrets: readonly string[]) {
    const parsed = secrets.map(parseWebhookSecret).filter((secret) => secret !== undefined);
    const keys = parsed.map((secret) => (secret.kind === 'ed25519' ? { ...secret, key: privateKey(secret.seed) } : secret));
    this.#signers = keys.map((secret) => signerOf(secret));
    this.publicKeys = keys.flatMap((secret) => (secret.kind === 'ed25519' ? [`whpk_${publicKey(secret.key)}`] : []));
  }

  /** The headers for a body: the signatures cover the id, the time of this attempt and the body. */
  headersFor(id: string, body: string, now: Date): Record<string, string> {
    const timestamp = String(Math.floor(now.getTime() / 1000));
    const content = `${id}.${timestamp}.${body}`;
    return {
      'webhook-id': id,
      'webhook-timestamp': timestamp,
      'webhook-signature': this.#signers.map((signer) => signer(content)).join(' '),
    };
  }
}

function signerOf(secret: (WebhookSecret & { kind: 'shared' }) | { kind: 'ed25519'; key: KeyObject }): (content: string) => string {
  if (secret.kind === 'shared') return (content) => `v1,${createHmac('sha256', secret.key).update(content).digest('base64')}`;
  return (content) => `v1a,${sign(null, Buffer.from(content), secret.key).toString('base64')}`;
}

function privateKey(seed: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
}

/** The last 32 bytes of the key's encoding. */
function publicKey(key: KeyObject): string {
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32).toString('base64');
}
