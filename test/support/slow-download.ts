// A download whose reader stops after the first bytes, until the test lets it go on.
import { once } from 'node:events';
import { Agent, get, type IncomingMessage } from 'node:http';
import { onTestFinished } from 'vitest';

/** More than the buffers of a connection hold. */
export const SLOW_BYTES: number = 32 * 1024 * 1024;

export interface SlowDownload {
  /** Reads on. Resolves with the number of bytes when the connection ends. */
  finish(): Promise<number>;
}

export async function slowDownload(url: string): Promise<SlowDownload> {
  const agent = new Agent();
  onTestFinished(() => agent.destroy());
  const [response] = (await once(get(url, { agent }), 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return {
    async finish() {
      let read = 0;
      response.on('data', (bytes: Buffer) => {
        read += bytes.byteLength;
      });
      if (!response.closed) await once(response, 'close').catch(() => undefined);
      return read;
    },
  };
}
