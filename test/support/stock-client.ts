// tus-js-client as everyone uses it: unmodified, with its own HTTP stack, its own retries and its own idea of success.
import { DetailedError, Upload, type UploadOptions } from 'tus-js-client';

/** Quick retries, as many as the default. */
export const QUICK_RETRIES: number[] = [0, 30, 60, 120];

export interface StockOutcome {
  outcome: 'success' | 'error';
  /** Of the response that ended it, 0 where there was none. */
  status: number;
  body: string;
  /** Address of the upload. */
  url: string;
}

/** What a user of the client would be shown. Without `retryDelays` the client's default. */
export function uploadWithStockClient(
  endpoint: string,
  bytes: Buffer,
  name: string,
  options: Partial<Pick<UploadOptions, 'retryDelays' | 'chunkSize' | 'uploadDataDuringCreation' | 'onAfterResponse'>> = {},
): Promise<StockOutcome> {
  return new Promise((resolve) => {
    const upload = new Upload(bytes, {
      endpoint,
      metadata: { filename: name },
      storeFingerprintForResuming: false,
      ...options,
      onSuccess: () => resolve({ outcome: 'success', status: 0, body: '', url: upload.url ?? '' }),
      onError: (error) => {
        const response = error instanceof DetailedError ? error.originalResponse : null;
        resolve({
          outcome: 'error',
          status: response?.getStatus() ?? 0,
          body: response?.getBody() ?? String(error),
          url: upload.url ?? '',
        });
      },
    });
    upload.start();
  });
}
