// Landfall mounted in every framework that hands on Node's requests, as docs/operations.md shows for each.
import { createServer, type IncomingMessage, type RequestListener, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import fastifyExpress from '@fastify/express';
import middie from '@fastify/middie';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import connect from 'connect';
import express from 'express';
// @ts-expect-error The alias has no types.
import express4 from 'express4';
import fastify, { type FastifyInstance } from 'fastify';
import { fromNodeHandler, H3 } from 'h3';
import { toNodeHandler } from 'h3/node';
import { Hono } from 'hono';
import Koa from 'koa';
import mount from 'koa-mount';
import { describe, expect, it } from 'vitest';
import type { Landfall } from '../../server/index.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { createUpload, headUpload, patchUpload, readRecord } from '../support/tus-requests.ts';
import { sendForm } from './form-requests.ts';

// The package has no types.
const { default: polka } = (await import('polka' as string)) as {
  default(): { use(path: string, handler: RequestListener): { handler: RequestListener } };
};

interface Framework {
  name: string;
  /** Set when the framework does not tell the mount path itself. */
  mountPath?: string;
  /** The framework hands on only the path below the mount, so that the server can't see how the client wrote the mount itself. */
  isCut?: boolean;
  mount(landfall: Landfall): RequestListener;
}

const UNTOLD = { mountPath: '/uploads' };
const isBelow = ({ url }: IncomingMessage) => /^\/uploads(?:[/?]|$)/.test(url ?? '');

function ready(app: FastifyInstance): RequestListener {
  const prepared = app.ready();
  return (request, response) => void prepared.then(() => app.routing(request, response));
}

const FRAMEWORKS: Framework[] = [
  { name: 'Express 5', mount: ({ handler }) => express().use('/uploads', handler) },
  { name: 'Express 5, in a router', mount: ({ handler }) => express().use(express.Router().use('/uploads', handler)) },
  { name: 'Express 4', mount: ({ handler }) => express4().use('/uploads', handler) },
  { name: 'Connect', mount: ({ handler }) => connect().use('/uploads', handler) },
  { name: 'Polka', mount: ({ handler }) => polka().use('/uploads', handler).handler },
  { name: '@fastify/middie', mount: ({ handler }) => ready(useAfter(middie, handler)) },
  { name: '@fastify/express', mount: ({ handler }) => ready(useAfter(fastifyExpress, handler)) },
  {
    name: 'Fastify, a route',
    ...UNTOLD,
    mount: ({ handler }) => {
      const app = fastify();
      app.register(async (scope) => {
        // Landfall reads the bodies.
        scope.removeAllContentTypeParsers();
        scope.addContentTypeParser('*', (_request, _payload, done) => done(null));
        for (const path of ['/uploads', '/uploads/*']) {
          scope.all(path, (request, reply) => {
            reply.hijack();
            handler(request.raw, reply.raw);
          });
        }
      });
      return ready(app);
    },
  },
  {
    name: 'Koa',
    ...UNTOLD,
    mount: ({ handler }) =>
      new Koa()
        .use((context, next) => {
          if (!isBelow(context.req)) return next();
          context.respond = false;
          handler(context.req, context.res);
          return undefined;
        })
        .callback(),
  },
  {
    name: 'koa-mount',
    ...UNTOLD,
    isCut: true,
    mount: ({ handler }) => {
      const hand = (context: Koa.Context) => {
        context.respond = false;
        handler(context.req, context.res);
      };
      return new Koa().use(mount('/uploads', hand)).callback();
    },
  },
  {
    name: 'Hono',
    ...UNTOLD,
    mount: ({ handler }) => {
      const app = new Hono<{ Bindings: HttpBindings }>();
      for (const path of ['/uploads', '/uploads/*']) {
        app.all(path, async ({ env }) => {
          await handler(env.incoming, env.outgoing);
          return RESPONSE_ALREADY_SENT;
        });
      }
      return getRequestListener(app.fetch);
    },
  },
  {
    name: 'h3',
    ...UNTOLD,
    mount: ({ handler }) => toNodeHandler(new H3().use('/uploads/**', fromNodeHandler(handler as never))) as RequestListener,
  },
  {
    name: 'http',
    ...UNTOLD,
    mount:
      ({ handler }) =>
      (request, response) => {
        if (isBelow(request)) handler(request, response);
        else response.writeHead(404).end();
      },
  },
  {
    name: 'a proxy that strips the prefix',
    ...UNTOLD,
    isCut: true,
    mount: ({ handler }) => {
      const inner = createServer(handler);
      const listening = listenForTest(inner);
      return async (request, response) => {
        await listening;
        const { port } = inner.address() as AddressInfo;
        const path = request.url?.replace(/^\/uploads\/?/, '/');
        const passed = send({ port, path, method: request.method, headers: request.headers }, (answer) => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        });
        request.pipe(passed);
      };
    },
  },
];

/** Fastify accepts middleware once its plugin is loaded. */
function useAfter(plugin: typeof middie | typeof fastifyExpress, handler: RequestListener): FastifyInstance {
  const app = fastify();
  app.register(plugin as never);
  app.after(() => {
    (app as unknown as { use(path: string, handler: RequestListener): void }).use('/uploads', handler);
  });
  return app;
}

describe.each(FRAMEWORKS)('below $name', ({ mountPath, isCut = false, mount: mountOn }) => {
  const embed = () => embedLandfall({}, mountPath === undefined ? {} : { mountPath }, mountOn);

  it('uploads are created, sent, asked about and read at addresses below the mount', async () => {
    const { url } = await embed();
    const files = `${url}/uploads/files`;
    const created = await createUpload(files, { length: 10, name: 'a.txt', body: Buffer.from('01234') });
    expect(created.status).toBe(201);
    expect(created.headers.get('Location')).toMatch(/^\/uploads\/files\/[0-9a-f]{32}$/);
    expect(await headUpload(created.url)).toMatchObject({ status: 200, offset: 5 });
    expect(await patchUpload(created.url, 5, '56789')).toMatchObject({ status: 204, offset: 10 });
    expect(await readRecord(created.url)).toMatchObject({ state: 'accepted', url: new URL(created.url).pathname });
    const file = await fetch(created.url);
    expect([file.status, await file.text()]).toEqual([200, '0123456789']);
    const form = await sendForm(`${url}/uploads/upload`, [{ name: 'b.txt', content: 'text' }]);
    expect(form.status).toBe(201);
    expect(form.headers.get('Location')).toMatch(/^\/uploads\/files\/[0-9a-f]{32}$/);
    const large = Buffer.alloc(3_000_000, 'large\n');
    const whole = await createUpload(files, { length: large.length, name: 'large.txt', body: large });
    expect(whole).toMatchObject({ status: 201, offset: large.length });
  });

  it('answers without a file have their own status, and only addresses below the mount are answered', async () => {
    const { url } = await embed();
    expect((await fetch(`${url}/uploads/config`)).status).toBe(200);
    expect((await fetch(`${url}/uploads/health/live`)).status).toBe(200);
    const unknown = await fetch(`${url}/uploads/nothing`);
    expect([unknown.status, (await unknown.json()).code]).toEqual([404, 'ERR_NOT_FOUND']);
    expect((await fetch(`${url}/uploads/files`, { method: 'OPTIONS' })).status).toBe(200);
  });

  // The page handles the missing slash itself: test/browser/page-mounted.test.ts.
  it.runIf(isCut)('the address of the mount without its slash is the page', async () => {
    const { url } = await embed();
    const [page, same] = await Promise.all(['?from=mail', '/'].map((rest) => fetch(`${url}/uploads${rest}`, { redirect: 'manual' })));
    expect([page?.status, await page?.text()]).toEqual([same?.status, await same?.text()]);
  });

  it.skipIf(isCut)('the address of the mount without its slash redirects to the page', async () => {
    const { url } = await embed();
    for (const query of ['', '?from=mail']) {
      const answer = await fetch(`${url}/uploads${query}`, { redirect: 'manual' });
      expect(answer.status).toBe(301);
      expect(new URL(answer.headers.get('Location') ?? '', answer.url).pathname).toBe('/uploads/');
    }
    expect((await fetch(`${url}/uploads/`, { redirect: 'manual' })).status).not.toBe(301);
  });
});
