// The path of Landfall within an application. Frameworks pass requests on in two ways: Express, Connect, Polka and Fastify's
// middleware remove the mount's path from `url` and keep it in `originalUrl`; others leave `url` alone, or remove it without a trace.
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { RequestHandler } from 'express';

/** Resolves when the request is answered completely: some frameworks answer a request themselves when its handler is not awaited. */
export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void>;

/** Node's request, as frameworks leave it. */
type Mounted = IncomingMessage & { originalUrl?: string };

/**
 * RFC 9112, 3.2.2: a target in absolute-form, and its authority without user information, which RFC 9110, 4.2.4, calls an error. Other
 * targets with a scheme stay as they are, and are refused.
 */
const ABSOLUTE = /^https?:\/\/((?:\[[\da-f:.]+\]|[\w.~!$&'()*+,;=%-]+)(?::\d*)?)(?=[/?]|$)/i;

const mounts = new WeakMap<IncomingMessage, string>();

/**
 * Makes the requests of all frameworks alike.
 * @param path of the mount, for frameworks that do not report it; empty: none
 */
export function mountAt(path: string, handler: RequestListener): Handler {
  return (request: Mounted, response) => {
    const { originalUrl } = request;
    const authority = ABSOLUTE.exec(originalUrl ?? request.url ?? '')?.[1];
    if (authority !== undefined) {
      // A server must ignore the Host that was sent with it. All rules for hosts look at this one.
      request.headers.host = authority;
      if (originalUrl !== undefined) request.originalUrl = rooted(originalUrl.replace(ABSOLUTE, ''));
    }
    const url = rooted((request.url ?? '').replace(ABSOLUTE, ''));
    request.url = url;
    // True when a framework has removed the path, and reports it.
    const isTold = request.originalUrl !== undefined && request.originalUrl !== url;
    if (!isTold && path !== '') {
      const isWhole = url.startsWith(path) && /^(?:[/?]|$)/.test(url.slice(path.length));
      request.originalUrl = isWhole ? url : path + url;
      if (isWhole) request.url = url.slice(path.length).replace(/^(?!\/)/, '/');
    }
    mounts.set(request, mountPathOf(pathOf(request.originalUrl ?? url), pathOf(request.url)));
    // Koa presets the status 404.
    response.statusCode = 200;
    return new Promise<void>((resolve) => {
      response.on('close', resolve);
      handler(request, response);
    });
  };
}

/** Polka, and a target in absolute-form, leave only the query when nothing is left of the path. */
function rooted(url: string): string {
  return url.replace(/^(?=\?|$)/, '/');
}

/** RFC 9112, 3.2: true for a path and for `*`, false for an address that `mountAt` does not accept. */
export function isTarget(url = ''): boolean {
  return url.startsWith('/') || url === '*';
}

/** The path of the mount, without a slash at its end; empty at the root. */
export function mountOf(request: IncomingMessage): string {
  return mounts.get(request) ?? '';
}

/** The links of the page are relative: without a slash at the end of its address they would point beside the mount. */
export function redirectToPage(): RequestHandler {
  return (request, response, next) => {
    const [, name] = /\/([^/]+)$/.exec(pathOf(request.originalUrl)) ?? [];
    const isHere = pathOf(request.url) === '/' && name !== undefined;
    if (isHere && (request.method === 'GET' || request.method === 'HEAD')) response.writeHead(301, { Location: `./${name}/` }).end();
    else next();
  };
}

function mountPathOf(whole: string, rest: string): string {
  if (whole.endsWith(rest)) return whole.slice(0, -rest.length);
  return rest === '/' ? whole : '';
}

function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? '';
}
