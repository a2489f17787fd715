import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import express, { type RequestHandler } from 'express';

/** Where the built page lies: seen from the source in `server/http`, and from what is built in `dist/server/http`. */
function pageRoot(): string | undefined {
  const candidates = [new URL('../dist/page/', import.meta.url), new URL('../../page/', import.meta.url)].map((url) => fileURLToPath(url));
  return candidates.find((path) => existsSync(path));
}

/** The only script that may stand in the page itself is that of its own file, by its hash. */
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

/** The upload page; goes on to the next handler for whatever it does not have. */
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
    // Upload links name it so.
    if (request.path === '/link') request.url = `/link.html${request.url.slice('/link'.length)}`;
    files(request, response, next);
  };
}
