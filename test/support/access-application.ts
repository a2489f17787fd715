// The test's own application that decides about access: LANDFALL_ACCESS_URL points to it.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { listenForTest } from './listen.ts';

/** The question in JSON. */
export interface Question {
  intent: string;
  upload: {
    id?: string;
    owner?: string;
    state?: string;
    name?: string;
    type?: string | null;
    length?: number | null;
    metadata?: Record<string, string>;
  };
  sender?: { authorization?: string; cookie?: string; address: string };
}

export interface Asked {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingHttpHeaders;
  question: Question;
}

export type Decide = (asked: Asked, response: ServerResponse, request: IncomingMessage) => unknown;

export interface AccessApplication {
  /** Its address. */
  url: string;
  /** All questions, in order. */
  asked: Asked[];
  intents(): string[];
  decide(next: Decide): void;
}

/** Answers that everyone is anna, until the test sets another answer. */
export async function startAccessApplication(): Promise<AccessApplication> {
  const asked: Asked[] = [];
  let decide: Decide = (_asked, response) => says(response, { owner: 'anna' });
  const server = createServer(async (request, response) => {
    const body = await text(request);
    const { method, url, headers } = request;
    const one = { method, url, headers, question: body === '' ? { intent: '', upload: {} } : JSON.parse(body) };
    asked.push(one);
    await decide(one, response, request);
  });
  return {
    url: `${await listenForTest(server)}/access`,
    asked,
    intents: () => asked.map(({ question }) => question.intent),
    decide(next) {
      decide = next;
    },
  };
}

export function says(response: ServerResponse, answer: unknown, headers: Record<string, string> = {}, status = 200): void {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers }).end(JSON.stringify(answer));
}

/** A refusal with a message. */
export function refuses(response: ServerResponse, status: number, words: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers }).end(words);
}
