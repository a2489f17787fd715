// Where in an application Landfall is mounted. Frameworks hand requests on in two ways: Express, Connect, Polka and Fastify's
// middleware cut the mount's path off `url` and keep the whole in `originalUrl`; others leave `url` alone, or cut and tell nothing.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';

/** Resolves when the request is answered to its end: some frameworks answer themselves what is handed on and not waited for. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** A request of Node's, as frameworks leave it. */
type Mounted = IncomingMessage & { originalUrl?: string };

const mounts = new WeakMap<IncomingMessage, string>();

/**
 * Makes requests alike, whatever handed them on.
 * @param path of the mount, for what does not tell it; empty: none
 */
export function below(path: string, handler: RequestListener): Handler {
  return async (request: Mounted, response) => {
    // Polka leaves a query alone where nothing is left of the path.
    const url = (request.url ?? '').replace(/^(?=\?|$)/, '/');
    request.url = url;
    // Some framework has cut it already.
    const isTold = request.originalUrl !== undefined && request.originalUrl !== url;
    if (!isTold && path !== '') {
      const isWhole = url.startsWith(path) && /^(?:[/?]|$)/.test(url.slice(path.length));
      request.originalUrl = isWhole ? url : path + url;
      if (isWhole) request.url = url.slice(path.length).replace(/^(?!\/)/, '/');
    }
    mounts.set(request, cutFrom(pathOf(request.originalUrl ?? url), pathOf(request.url)));
    // Koa begins with 404.
    response.statusCode = 200;
    const over = new Promise<void>((resolve) => void response.once('close', resolve));
    handler(request, response);
    await over;
  };
}

/** The path of the mount, without a slash at its end; empty at the root. */
export function mountOf(request: IncomingMessage): string {
  return mounts.get(request) ?? '';
}

/** What the page names is relative to it: without the slash behind its address, that would be beside the mount. */
export function redirectToPage(): RequestHandler {
  return (request, response, next) => {
    const [, name] = /\/([^/]+)$/.exec(pathOf(request.originalUrl)) ?? [];
    const isHere = pathOf(request.url) === '/' && name !== undefined;
    if (isHere && (request.method === 'GET' || request.method === 'HEAD')) response.writeHead(301, { Location: `./${name}/` }).end();
    else next();
  };
}

function cutFrom(whole: string, rest: string): string {
  if (whole.endsWith(rest)) return whole.slice(0, -rest.length);
  return rest === '/' ? whole : '';
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
