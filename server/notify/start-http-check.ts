import type { Config } from '../config/config.ts';
import { HttpCheck } from './http-check.ts';
import { InternalListener } from './internal-listener.ts';

/** @throws InternalAddressUnusable */
export async function startHttpCheck(opened: AsyncDisposableStack, config: Config): Promise<HttpCheck> {
  const { internalHost: host, internalPort: port, internalUrl: url, checkUrl, checkTimeoutMs: silenceMs } = config;
  const listener = new InternalListener({ host, port, url });
  opened.defer(() => listener.close());
  await listener.start();
  return new HttpCheck({ url: checkUrl, listener, silenceMs });
}
