// Shared by the servers of this benchmark: their port and directory from the environment, the settings that Landfall's own
// server uses for long bodies, and, on request, a second port that reports the delays of their event loop.
import { createServer, type RequestListener, type Server } from 'node:http';
import { monitorEventLoopDelay } from 'node:perf_hooks';

export const DIRECTORY: string = process.env.BENCH_DIRECTORY ?? '.';

export interface Probe {
  /** Delays of the event loop since the last request, in milliseconds. They include the sampling interval: compare with an idle server. */
  delayP99Ms: number;
  delayMaxMs: number;
  rssBytes: number;
}

/** The sampling interval of the event loop. */
const SAMPLE_MS = 5;

/** @param prepare called with the server before it listens */
export function listen(listener: RequestListener, prepare: (server: Server) => void = () => undefined): void {
  // The probe listens first, so that a benchmark that waits for the server finds both.
  const probe = process.env.BENCH_PROBE_PORT === undefined ? undefined : listenForProbe(Number(process.env.BENCH_PROBE_PORT));
  const server = createServer(listener);
  server.requestTimeout = 0;
  server.keepAliveTimeout = 0;
  prepare(server);
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
  // The first request may come long after the connection.
  server.headersTimeout = 0;
  server.requestTimeout = 0;
  server.listen(port, '127.0.0.1');
  return server;
}
