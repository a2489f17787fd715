// The response to a form: JSON for programs, a page for people.
import type { IncomingMessage, ServerResponse } from 'node:http';
import express from 'express';
import type { UploadError } from '../../shared/errors.ts';
import { setErrorFields } from '../http/problem.ts';
import { type FormResult, renderResults } from './form-page.ts';

/** The error of each refused file, which sets the response's headers. */
const refusals = new WeakMap<FormResult, UploadError>();

export function refused(filename: string, error: UploadError): FormResult {
  const { code, title, detail, status } = error;
  const result = { filename, status, error: { code, title, ...(detail === undefined ? {} : { detail }) } };
  refusals.set(result, error);
  return result;
}

interface AnswerOptions {
  isMultiple: boolean;
  collectionUrl: string;
  /** The page with the form, relative to the collection's parent. */
  home: string;
}

/** Answers a single file with its own status; several with 200 when all were accepted, else with 207 and a status for each. */
export function answerResults(
  request: IncomingMessage,
  response: ServerResponse,
  results: FormResult[],
  { isMultiple, collectionUrl, home }: AnswerOptions,
): void {
  const [first] = results;
  const isUniform = results.every((result) => result.status === first?.status);
  const status = isMultiple ? (isUniform && first?.status === 201 ? 200 : 207) : (first?.status ?? 400);
  response.statusCode = status;
  response.setHeader('Cache-Control', 'no-store');
  if (!isMultiple && first?.record) {
    const address = `${collectionUrl}/${first.record.id}`;
    response.setHeader('Location', first.status === 202 ? `${address}/status` : address);
  }
  const refusal = isMultiple || first === undefined ? undefined : refusals.get(first);
  if (refusal !== undefined) setErrorFields(request, response, refusal);
  // A browser that submits a form asks for HTML; scripts and curl do not.
  if (prefersHtml(request)) {
    response.setHeader('Content-Type', 'text/html; charset=utf-8');
    response.setHeader('Content-Security-Policy', "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'");
    response.end(renderResults(results, collectionUrl.replace(/files$/, home), home === ''));
    return;
  }
  response.setHeader('Content-Type', 'application/json');
  response.end(JSON.stringify(isMultiple ? { results } : first));
}

function prefersHtml(request: IncomingMessage): boolean {
  // Express's method needs the headers only. Most programs accept anything, and need no look at their preferences.
  const { accept = '' } = request.headers;
  return accept.includes('text/') && express.request.accepts.call(request as express.Request, 'json', 'html') === 'html';
}
