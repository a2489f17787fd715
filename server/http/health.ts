import type { ServerResponse } from 'node:http';
import type { Ledger } from '../ledger/ledger.ts';
import type { Staging } from '../staging/staging.ts';

/** The process runs. */
export function answerLive(response: ServerResponse): void {
  answer(response, 200, { status: 'live' });
}

/** It can take uploads: the ledger and staging answer, and it is not shutting down. */
export async function answerReady(
  response: ServerResponse,
  parts: { ledger: Ledger; staging: Staging; draining: AbortSignal },
): Promise<void> {
  if (parts.draining.aborted) {
    answer(response, 503, { status: 'draining' });
    return;
  }
  try {
    await parts.ledger.list({ limit: 1 });
  } catch {
    answer(response, 503, { status: 'ledger unavailable' });
    return;
  }
  try {
    await parts.staging.freeBytes();
  } catch {
    answer(response, 503, { status: 'staging unavailable' });
    return;
  }
  answer(response, 200, { status: 'ready' });
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(JSON.stringify(body));
}
