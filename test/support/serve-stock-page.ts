// A page with stock uploaders on an origin of its own: its requests to the server under test are cross-origin.
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { build } from 'vite';
import { afterAll } from 'vitest';
import { REPOSITORY } from './repository.ts';
import { temporaryDirectory } from './temp-dir.ts';

/** Bundles and serves the page until the calling file or block of tests ends. Resolves to its address. */
export async function serveStockPage(): Promise<string> {
  const { path } = temporaryDirectory();
  await build({
    configFile: false,
    logLevel: 'error',
    root: join(REPOSITORY, 'test/support'),
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      outDir: path,
      emptyOutDir: false,
      minify: false,
      lib: { entry: join(REPOSITORY, 'test/support/stock-page.ts'), formats: ['es'], fileName: () => 'page.js' },
    },
  });
  const script = await readFile(join(path, 'page.js'));
  const server = createServer((request, response) => {
    if (request.url === '/page.js') response.setHeader('Content-Type', 'text/javascript').end(script);
    else
      response
        .setHeader('Content-Type', 'text/html')
        .end('<!doctype html><title>Stock</title><script type="module" src="/page.js"></script>');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  afterAll(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}
