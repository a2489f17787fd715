// A server with slow inspections, which refuse files on request, so that kills hit running inspections. It prints which PATCH
// requests are running.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { configFromEnvironment } from '../../server/config/config.ts';
import { createLandfall } from '../../server/index.ts';

const inspectionMs = Number(process.env.INSPECTION_MS);
const config = configFromEnvironment(process.env);
const landfall = createLandfall(config, {
  checks: [
    {
      name: 'slow',
      async run({ originalName, signal }) {
        await sleep(originalName?.startsWith('long') ? 60_000 : inspectionMs, undefined, { signal });
        return originalName?.startsWith('refuse') ? { code: 'ERR_CHECK_REFUSED', detail: 'For the test.' } : undefined;
      },
    },
  ],
});
const tell = (line: object) => process.stdout.write(`${JSON.stringify({ ...line, pid: process.pid })}\n`);
const server = createServer({ requestTimeout: 0 }, (request, response) => {
  if (request.method === 'PATCH') {
    const upload = request.url?.split('/').at(-1);
    tell({ msg: 'PATCH begins', upload });
    response.once('close', () => tell({ msg: 'PATCH ends', upload }));
  }
  landfall.handler(request, response);
});
await landfall.start();
server.listen(config.port, config.host, () => {
  const { port } = server.address() as AddressInfo;
  tell({ msg: 'listening', url: `http://127.0.0.1:${port}/` });
});
process.on('SIGTERM', () => {
  server.close();
  void landfall.close().then(() => process.exit(0));
});
