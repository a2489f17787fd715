import type { ServerResponse } from 'node:http';
import type { Logger } from 'pino';
import type { Ledger } from '../ledger/ledger.ts';
import { Probe } from './probe.ts';

/** Answers that the process runs. */
export function answerLive(response: ServerResponse): void {
  answer(response, 200, { status: 'live' });
}

export interface ReadinessOptions {
  ledger: Pick<Ledger, 'uploads'>;
  /** Checks whether bytes can be stored now. @throws when they cannot */
  checkStaging(signal: AbortSignal): Promise<void>;
  /** The webhook's receiver wants no more events. Uploads go on, so the answer stays 200. */
  isWebhookStopped(): boolean;
  draining: AbortSignal;
  log: Logger;
}

/** Whether the server can take uploads: the ledger and the staging answer, and the server is not shutting down. */
export class Readiness {
  readonly #draining: AbortSignal;
  readonly #ledger: Probe;
  readonly #staging: Probe;
  readonly #isWebhookStopped: () => boolean;

  constructor({ ledger, checkStaging, isWebhookStopped, draining, log }: ReadinessOptions) {
    this.#isWebhookStopped = isWebhookStopped;
    this.#draining = draining;
    const logChange = (part: string) => (isWell: boolean, error: unknown) => {
      if (isWell) log.info({ part }, 'ready again');
      else log.warn({ part, err: error }, 'not ready');
    };
    this.#ledger = new Probe(() => ledger.uploads.newest({ limit: 1 }), logChange('ledger'));
    this.#staging = new Probe(checkStaging, logChange('staging'));
  }

  /** Answers within a bounded time, also when a dependency is down. */
  async answer(response: ServerResponse): Promise<void> {
    if (this.#draining.aborted) {
      answer(response, 503, { status: 'draining' });
      return;
    }
    const [hasLedger, hasStaging] = await Promise.all([this.#ledger.isWell(), this.#staging.isWell()]);
    if (!hasLedger) answer(response, 503, { status: 'ledger unavailable' });
    else if (!hasStaging) answer(response, 503, { status: 'staging unavailable' });
    else answer(response, 200, { status: 'ready', ...(this.#isWebhookStopped() && { webhook: 'stopped: the receiver answered 410' }) });
  }
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(body));
}
