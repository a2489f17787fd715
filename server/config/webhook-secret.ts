// Secrets of webhooks as Standard Webhooks writes them: `whsec_` and a shared key, `whsk_` and a private key of Ed25519, in base64.

export type WebhookSecret = { kind: 'shared'; key: Buffer } | { kind: 'ed25519'; seed: Buffer };

const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;
const SEED_BYTES = 32;

/** Two at a time, the new one beside the old one: so receivers change over without missing any. */
export const MAX_WEBHOOK_SECRETS = 2;

/** Undefined: it is not one. A shared key has 24 to 64 bytes, as the specification has it; a private one its seed, maybe the public key behind. */
export function parseWebhookSecret(text: string): WebhookSecret | undefined {
  const [, prefix, encoded = ''] = /^(whsec|whsk)_(.+)$/.exec(text) ?? [];
  if (prefix === undefined || !BASE64.test(encoded)) return undefined;
  const bytes = Buffer.from(encoded, 'base64');
  if (prefix === 'whsec') return bytes.byteLength >= 24 && bytes.byteLength <= 64 ? { kind: 'shared', key: bytes } : undefined;
  if (bytes.byteLength !== SEED_BYTES && bytes.byteLength !== 2 * SEED_BYTES) return undefined;
  return { kind: 'ed25519', seed: bytes.subarray(0, SEED_BYTES) };
}
