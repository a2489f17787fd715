// Sends one event to the configured address: a POST by the Standard Webhooks specification.
import { readRetryAfter } from '../../shared/retry-after.ts';
import type { CompleteDelivery } from '../ledger/deliveries.ts';
import { ReceiverGone, TryLater } from './deliverer.ts';
import { Signatures } from './signature.ts';

/** The shortest limit that the specification allows. */
export const WEBHOOK_LIMIT_MS = 15_000;

export interface WebhookOptions {
  url: string;
  /** The secrets as configured. Each of them signs. */
  secrets: readonly string[];
}

export class Webhook {
  readonly #url: string;
  readonly #signatures: Signatures;

  constructor({ url, secrets }: WebhookOptions) {
    this.#url = url;
    this.#signatures = new Signatures(secrets);
  }

  /** The keys that receivers verify with, when a secret is a private key. */
  get publicKeys(): readonly string[] {
    return this.#signatures.publicKeys;
  }

  /** Resolves when the receiver has accepted the event: any 2xx. @throws ReceiverGone, TryLater, or the reason of the failure */
  async send({ id, body }: CompleteDelivery, signal: AbortSignal): Promise<void> {
    const headers = { 'Content-Type': 'application/json', 'User-Agent': 'Landfall', ...this.#signatures.headersFor(id, body, new Date()) };
    const response = await fetch(this.#url, { method: 'POST', headers, body, redirect: 'manual', signal }).catch((error: unknown) => {
      throw signal.aborted ? signal.reason : plain(error);
    });
    // Only the status counts, however long the body is.
    await response.body?.cancel().catch(() => undefined);
    if (response.ok) return;
    const { status } = response;
    if (status === 410) throw new ReceiverGone('The receiver answered 410.');
    const message = `The receiver answered ${status}.`;
    const seconds = readRetryAfter((name) => response.headers.get(name));
    throw seconds === undefined ? new Error(message) : new TryLater(message, seconds * 1000);
  }
}

/** `fetch failed` says nothing; its cause does. */
function plain(error: unknown): Error {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(cause instanceof Error)) return new Error(String(cause));
  const code = 'code' in cause ? String(cause.code) : cause.message;
  return new Error(`The receiver cannot be reached (${code}).`, { cause });
}
