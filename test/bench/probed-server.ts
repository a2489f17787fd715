// A server with a second port that reports its memory and the delays of its event loop.
import { mkdirSync } from 'node:fs';
import { freePort } from '../support/free-port.ts';
import { Connection } from './connection.ts';
import { type Command, ServerProcess } from './server-process.ts';
import type { Probe } from './servers/listen.ts';

/**
 * After its work, a server has to be idle for this long before its memory counts as that of an idle server. After about eight seconds V8
 * collects the garbage of the warm-up, 20 to 30 MiB. A shorter pause would sometimes hide that much of what the uploads take.
 */
export const UNTIL_IDLE_MS = 15_000;

/** The command that starts a server on both ports. */
export type Probed = (directory: string, port: number, probePort: number) => Command;

export interface ProbedServer {
  server: ServerProcess;
  probe(): Promise<Probe>;
  stop(): Promise<void>;
}

export async function startProbed(probed: Probed, directory: string): Promise<ProbedServer> {
  mkdirSync(directory, { recursive: true });
  const port = await freePort();
  const probePort = await freePort();
  const server = await ServerProcess.start(probed(directory, port, probePort), directory, port);
  const connection = await Connection.open(probePort);
  return {
    server,
    probe: async () => JSON.parse((await connection.request('GET', '/', {})).body) as Probe,
    stop: () => server.stop(),
  };
}
