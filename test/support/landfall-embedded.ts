// The server inside the test's own process: quick, with the test's hooks and checks.
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { type ConfigInput, createLandfall, type Landfall, type LandfallHooks } from '../../server/index.ts';
import { liftEach } from './lifted-bodies.ts';
import { testDirectory } from './temp-dir.ts';

export interface EmbeddedLandfall {
  landfall: Landfall;
  dataDir: string;
  /** Without a slash at the end. */
  url: string;
  /** The address at which uploads are created. */
  files: string;
  close(): Promise<void>;
}

/**
 * Listens on a free port until the test ends, in a new directory if `dataDir` is not given.
 * @param mount puts the handler into an application; without it, the handler is the whole server
 */
export async function embedLandfall(
  config: ConfigInput = {},
  hooks: LandfallHooks = {},
  mount: (landfall: Landfall) => RequestListener = ({ handler }) => handler,
): Promise<EmbeddedLandfall> {
  const dataDir = config.dataDir ?? testDirectory();
  const landfall = createLandfall({ logLevel: 'silent', ...config, dataDir }, hooks);
  const server = createServer({ requestTimeout: 0 }, mount(landfall));
  if (process.env.LANDFALL_TEST_BODIES === 'lifted') liftEach(server);
  await landfall.start();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  let closed: Promise<void> | undefined;
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await landfall.close();
  };
  const embedded: EmbeddedLandfall = {
    landfall,
    dataDir,
    url,
    files: `${url}/files`,
    close: () => {
      closed ??= close();
      return closed;
    },
  };
  onTestFinished(embedded.close);
  return embedded;
}
