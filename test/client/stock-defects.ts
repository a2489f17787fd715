// Helpers for the tests of the stock client's defects. Each test puts the same fault before both clients and compares how they end.
import { DetailedError, Upload, type UploadOptions } from 'tus-js-client';
import { onTestFinished } from 'vitest';
import { QUICK_RETRIES } from '../support/stock-client.ts';
import type { Sending } from './sending.ts';

export interface StockUpload {
  upload: Upload;
  /** Resolves with the outcome that the client reports; never resolves when the client hangs. */
  end: Promise<'success' | Error>;
}

/** An upload of the stock client, not started yet, with quick retries, as many as by default. */
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

/** Starts an upload of the stock client through the proxy. */
export function sendStock({ proxy }: Sending, source: Upload['file'], options: Partial<UploadOptions> = {}): StockUpload {
  const stock = stockUpload(source, { endpoint: `${proxy.url}/files`, ...options });
  stock.upload.start();
  return stock;
}

/** The status of the answer after which the client gave up; 0 when there was no answer. */
export function statusOf(end: 'success' | Error): number {
  return end instanceof DetailedError ? (end.originalResponse?.getStatus() ?? 0) : 0;
}

/** Resolves to true when the upload has not ended yet. */
export async function isPending(end: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending');
  const later = new Promise((resolve) => setImmediate(resolve, pending));
  return (await Promise.race([end, later])) === pending;
}

export const requestsOf = ({ proxy }: Sending, wanted: string): Sending['proxy']['exchanges'] =>
  proxy.exchanges.filter(({ method }) => method === wanted);
export const offsetsOf = (sending: Sending): number[] =>
  requestsOf(sending, 'PATCH').map(({ headers }) => Number(headers['upload-offset']));
