// What the servers of this benchmark share: their port and directory from the environment, the settings Landfall's own
// server uses for long bodies, and, where asked for, a second port that tells how their event loop fares.
import { createServer, type RequestListener, type Server } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export const DIRECTORY: string = process.env.BENCH_DIRECTORY ?? '.';

export interface Probe {
  /** Of the event loop since the last look, milliseconds. The sampling interval is in them: compare with an idle server. */
  delayP99Ms: number;
  delayMaxMs: number;
  rssBytes: number;
}

/** How often the event loop is looked at. */
const SAMPLE_MS = 5;

export function listen(listener: RequestListener): void {
  // First: whoever waits for the server then finds both.
  const probe = process.env.BENCH_PROBE_PORT === undefined ? undefined : listenForProbe(Number(process.env.BENCH_PROBE_PORT));
  const server = createServer(listener);
  server.requestTimeout = 0;
  server.keepAliveTimeout = 0;
  server.listen(Number(process.env.BENCH_PORT), '127.0.0.1');
  process.once('SIGTERM', () => {
    for (const each of [server, probe]) {
      each?.close();
      each?.closeAllConnections();
    }
    process.exit(0);
  });
}

function listenForProbe(port: number): Server {
  const delay = monitorEventLoopDelay({ resolution: SAMPLE_MS });
  delay.enable();
  const server = createServer((_request, response) => {
    const probe: Probe = {
      delayP99Ms: delay.percentile(99) / 1e6,
      delayMaxMs: delay.max / 1e6,
      rssBytes: process.memoryUsage.rss(),
    };
    delay.reset();
    response.end(JSON.stringify(probe));
  });
  server.keepAliveTimeout = 0;
  server.listen(port, '127.0.0.1');
  return server;
}
