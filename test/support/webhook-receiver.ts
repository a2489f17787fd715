// A receiver of events: a server that answers as the test sets it, can be down, and records the requests.
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import type { UploadEvent } from '../../server/index.ts';

export interface Received {
  headers: IncomingHttpHeaders;
  /** The received bytes: the signature covers them. */
  body: string;
  event: Omit<UploadEvent, 'position'>;
  /** The status of the answer; 0: none yet. */
  status: number;
}

/** A status, or a status with headers; `hang`: no answer. */
export type ReceiverAnswer = number | 'hang' | { status: number; headers: Record<string, string> };

export class WebhookReceiver {
  /** All requests, in order. */
  readonly received: Received[] = [];
  answer: (event: Received['event']) => ReceiverAnswer | Promise<ReceiverAnswer> = () => 204;
  /** The most requests that were open at once. */
  busiest = 0;
  #port = 0;
  #busy = 0;
  #server: Server | undefined;

  get url(): string {
    return `http://127.0.0.1:${this.#port}/hooks?token=1`;
  }

  /** Requests answered with 2xx, in order. */
  get taken(): Received['event'][] {
    return this.received.filter(({ status }) => status >= 200 && status < 300).map(({ event }) => event);
  }

  /** Event types answered with 2xx, of one upload or of all, in order. */
  takenOf(uploadId?: string): string[] {
    return this.taken.filter(({ data }) => uploadId === undefined || data.id === uploadId).map(({ type }) => type);
  }

  async up(): Promise<void> {
    const server = createServer(async (request, response) => {
      this.#busy += 1;
      this.busiest = Math.max(this.busiest, this.#busy);
      response.once('close', () => {
        this.#busy -= 1;
      });
      const body = await text(request).catch(() => undefined);
      if (body === undefined) return;
      const received: Received = { headers: request.headers, body, event: JSON.parse(body), status: 0 };
      this.received.push(received);
      const answer = await this.answer(received.event);
      if (answer === 'hang' || response.destroyed) return;
      const { status, headers } = typeof answer === 'number' ? { status: answer, headers: {} } : answer;
      received.status = status;
      response.writeHead(status, headers).end('Thank you.');
    });
    await new Promise<void>((resolve) => server.listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Refuses connections from now on, and keeps the port. */
  async down(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }
}

/** Listens until the running test ends. */
export async function startReceiver(answer?: WebhookReceiver['answer']): Promise<WebhookReceiver> {
  const receiver = new WebhookReceiver();
  if (answer) receiver.answer = answer;
  await receiver.up();
  onTestFinished(() => receiver.down());
  return receiver;
}
