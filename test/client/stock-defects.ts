// What the tests of the stock client's defects share: each has the same done to both clients, and both ends side by side.
import { DetailedError, Upload, type UploadOptions } from 'tus-js-client';
import { onTestFinished } from 'vitest';
import { QUICK_RETRIES } from '../support/stock-client.ts';
import type { Sending } from './sending.ts';

export interface StockUpload {
  upload: Upload;
  /** What its user is told; never, where it hangs. */
  end: Promise<'success' | Error>;
}

/** Not started yet. Quick retries, as many as by default. */
export function stockUpload(source: Upload['file'], options: Partial<UploadOptions>): StockUpload {
  const { promise: end, resolve } = Promise.withResolvers<'success' | Error>();
  const upload = new Upload(source, {
    metadata: { filename: 'film.mp4' },
    retryDelays: QUICK_RETRIES,
    storeFingerprintForResuming: false,
    ...options,
    onSuccess: () => resolve('success'),
    onError: resolve,
  });
  onTestFinished(() => void upload.abort().catch(() => {}));
  return { upload, end };
}

/** Through the proxy, at once. */
export function sendStock({ proxy }: Sending, source: Upload['file'], options: Partial<UploadOptions> = {}): StockUpload {
  const stock = stockUpload(source, { endpoint: `${proxy.url}/files`, ...options });
  stock.upload.start();
  return stock;
}

/** The status of the answer it gave up on; 0 for none. */
export function statusOf(end: 'success' | Error): number {
  return end instanceof DetailedError ? (end.originalResponse?.getStatus() ?? 0) : 0;
}

/** Nothing has come of it so far. */
export async function isPending(end: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  const later = new Promise((resolve) => setImmediate(resolve, pending));
  return (await Promise.race([end, later])) === pending;
}

export const requestsOf = ({ proxy }: Sending, wanted: string): Sending['proxy']['exchanges'] =>
  proxy.exchanges.filter(({ method }) => method === wanted);
export const offsetsOf = (sending: Sending): number[] =>
  requestsOf(sending, 'PATCH').map(({ headers }) => Number(headers['upload-offset']));
