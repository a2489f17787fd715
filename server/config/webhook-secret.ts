// Webhook secrets in the form of Standard Webhooks, in base64: `whsec_` and a shared key, or `whsk_` and a private Ed25519 key.

export type WebhookSecret = { kind: 'shared'; key: Buffer } | { kind: 'ed25519'; seed: Buffer };

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const SEED_BYTES = 32;

/** Two at a time, the new one beside the old one, so that receivers can change over without losing an event. */
export const MAX_WEBHOOK_SECRETS = 2;

/** Undefined for an invalid secret. A shared key has 24 to 64 bytes; a private key is its seed, with or without its public key. */
export function parseWebhookSecret(text: string): WebhookSecret | undefined {
  const [, prefix, encoded = ''] = /^(whsec|whsk)_(.+)$/.exec(text) ?? [];
  if (prefix === undefined || !BASE64.test(encoded)) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  if (prefix === 'whsec') return bytes.byteLength >= 24 && bytes.byteLength <= 64 ? { kind: 'shared', key: bytes } : undefined;
  if (bytes.byteLength !== SEED_BYTES && bytes.byteLength !== 2 * SEED_BYTES) return undefined;
  return { kind: 'ed25519', seed: bytes.subarray(0, SEED_BYTES) };
}
