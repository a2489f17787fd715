// /config: tells a client what it may send.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { UploadError } from '../../shared/errors.ts';
import type { Access, Identity } from '../access/identity.ts';
import type { Policies } from '../ledger/limits.ts';
import type { Quotas } from '../ledger/quotas.ts';
import { answerOptions } from './methods.ts';

export interface TermsOptions {
  access: Access;
  policies: Policies;
  quotas: Quotas;
  maxUploadBytes: number;
}

/**
 * A known sender gets its own limits. A client without credentials, where they are required, gets `signIn` and the common limits.
 * @throws UploadError for invalid credentials
 */
export async function answerTerms(options: TermsOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { policies, maxUploadBytes } = options;
  if (request.method === 'OPTIONS') {
    answerOptions(response, 'OPTIONS, GET, HEAD');
    return;
  }
  response.setHeader('Cache-Control', 'private, no-cache');
  response.setHeader('Vary', [response.getHeader('Vary'), 'Authorization, Cookie'].filter(Boolean).join(', '));
  const sender = await senderOf(options.access, request);
  const common = { policy: policies.all, maxUploadSize: maxUploadBytes };
  let answer: object = common;
  if (sender === 'unknown') answer = { ...common, signIn: true };
  else if (sender !== undefined) {
    const { limits } = sender;
    const maxUploadSize = Math.min(maxUploadBytes, limits.maxUploadBytes ?? maxUploadBytes);
    answer = { policy: policies.within(limits), maxUploadSize, ...(await grantOf(options.quotas, sender)) };
  }
  const body = Buffer.from(JSON.stringify(answer));
  response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': body.byteLength });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** Undefined when access cannot be decided now: the common limits are a correct answer then, too. */
async function senderOf(access: Access, request: IncomingMessage): Promise<Identity | 'unknown' | undefined> {
  try {
    return await access(request, 'create');
  } catch (error) {
    if (request.headers.authorization !== undefined) throw error;
    return error instanceof UploadError && error.status === 401 ? 'unknown' : undefined;
  }
}

/** The sender's key, link or grant: its title, its end, and how much of it is left. */
async function grantOf(quotas: Quotas, { credential, limits, title, endsAt = null }: Identity): Promise<object> {
  const { maxUploads, maxBytes } = limits;
  if (title === undefined && maxUploads === undefined && maxBytes === undefined) return {};
  const used = credential === null ? undefined : await quotas.get(credential);
  const remaining = (limit: number, used = 0) => Math.max(limit - used, 0);
  return {
    grant: {
      ...(title !== undefined && { title, ...(endsAt !== null && { endsAt: new Date(endsAt).toISOString() }) }),
      ...(maxUploads !== undefined && { uploadsLeft: remaining(maxUploads, used?.uploads) }),
      ...(maxBytes !== undefined && { bytesLeft: remaining(maxBytes, used?.bytes) }),
    },
  };
}
