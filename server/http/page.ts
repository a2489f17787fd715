import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type RequestHandler } from 'express';

/** The directory of the built page: seen from the source in `server/http`, or from the build in `dist/server/http`. */
function pageRoot(): string | undefined {
  const candidates = [new URL('../dist/page/', import.meta.url), new URL('../../page/', import.meta.url)].map((url) => fileURLToPath(url));
  return candidates.find((path) => existsSync(path));
}

/** Allows no script but the page's own, which it recognizes by its hash. */
function contentSecurityPolicy(root: string): string {
  const [, script = ''] = /<script>([\s\S]*?)<\/script>/.exec(readFileSync(join(root, 'index.html'), 'utf8')) ?? [];
  const hash = createHash('sha256').update(script).digest('base64');
  return [`script-src 'self' 'sha256-${hash}'`, ...CONTENT_SECURITY_RULES].join('; ');
}

const CONTENT_SECURITY_RULES = [
  "default-src 'self'",
  "img-src 'self' data: blob:",
  "object-src 'none'",
  "base-uri 'self'",
  "form-action 'self'",
  "frame-ancestors 'self'",
];

/** Serves the upload page, and leaves any other path to the next handler. */
export function page(): RequestHandler {
  const root = pageRoot();
  if (root === undefined) return (_request, _response, next) => next();
  const policy = contentSecurityPolicy(root);
  const files = express.static(root, {
    redirect: false,
    setHeaders: (response, path) => {
      response.setHeader('Content-Security-Policy', policy);
      response.setHeader('X-Content-Type-Options', 'nosniff');
      response.setHeader('Referrer-Policy', 'same-origin');
      // Built assets carry a hash in their names; the page and the element's script, which name them, do not.
      response.setHeader('Cache-Control', /[\\/]assets[\\/][^\\/]+$/.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache');
    },
  });
  return (request, response, next) => {
    // The address in upload links.
    if (request.path === '/link') request.url = `/link.html${request.url.slice('/link'.length)}`;
    files(request, response, next);
  };
}
