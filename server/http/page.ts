import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import express, { type RequestHandler } from 'express';

/** Where the built page lies: seen from the source in `server/http`, and from what is built in `dist/server/http`. */
function pageRoot(): string | undefined {
  const candidates = [new URL('../dist/page/', import.meta.url), new URL('../../page/', import.meta.url)].map((url) => fileURLToPath(url));
  return candidates.find((path) => existsSync(path));
}

const CONTENT_SECURITY_POLICY = [
  "default-src 'self'",
  "img-src 'self' data: blob:",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'self'",
].join('; ');

/** The upload page; goes on to the next handler for whatever it does not have. */
export function page(): RequestHandler {
  const root = pageRoot();
  if (root === undefined) return (_request, _response, next) => next();
  const files = express.static(root, {
    redirect: false,
    setHeaders: (response, path) => {
      response.setHeader('Content-Security-Policy', CONTENT_SECURITY_POLICY);
      response.setHeader('X-Content-Type-Options', 'nosniff');
      response.setHeader('Referrer-Policy', 'same-origin');
      // Built assets carry a hash in their names; the page and the element's script, which name them, do not.
      response.setHeader('Cache-Control', /[\\/]assets[\\/][^\\/]+$/.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  return (request, response, next) => {
    // Upload links name it so.
    if (request.path === '/link') request.url = `/link.html${request.url.slice('/link'.length)}`;
    files(request, response, next);
  };
}
