// The page below a prefix that a proxy or framework strips: only the browser knows the full address.
import { createServer, type RequestListener, request as send } from 'node:http';
import type { AddressInfo } from 'node:net';
import Koa from 'koa';
import mount from 'koa-mount';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Landfall } from '../../server/index.ts';
import { launchChromium } from '../support/chromium.ts';
import { embedLandfall } from '../support/landfall-embedded.ts';
import { listenForTest } from '../support/listen.ts';
import { chooser, expectState, storedHashes, video, visit } from './page-driver.ts';

let browser: Browser;
beforeAll(async () => {
  browser = await launchChromium();
});
afterAll(() => browser.close());

function koaMount({ handler }: Landfall): RequestListener {
  const hand = (context: Koa.Context) => {
    context.respond = false;
    handler(context.req, context.res);
  };
  return new Koa().use(mount('/uploads', hand)).callback();
}

function strippingProxy({ handler }: Landfall): RequestListener {
  const inner = createServer(handler);
  const listening = listenForTest(inner);
  return async (request, response) => {
    await listening;
    const { port } = inner.address() as AddressInfo;
    const { method, headers } = request;
    const passed = send({ port, path: request.url?.replace(/^\/uploads\/?/, '/'), method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(passed);
  };
}

it.for([
  ['koa-mount', koaMount],
  ['a proxy that strips the prefix', strippingProxy],
] as const)('below %s the page opens without its final slash, and an upload is created below the mount', async ([, mounted]) => {
  const server = await embedLandfall({}, { mountPath: '/uploads' }, mounted);
  const { page, problems } = await visit(browser, `${server.url}/uploads/`);
  await page.goto(`${server.url}/uploads?from=mail#top`);
  await chooser(page).waitFor({ state: 'attached' });
  expect(page.url()).toBe(`${server.url}/uploads/?from=mail#top`);
  const { path, name, sha256 } = await video('film.mp4', 100_000);
  await chooser(page).setInputFiles(path);
  await expectState(page, name, /Upload complete/);
  expect(await storedHashes(server.dataDir)).toEqual({ [name]: sha256 });
  expect(problems).toEqual([]);
});
