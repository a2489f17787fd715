// Unmodified tus-js-client: with its own HTTP stack, retries and idea of success.
import { DetailedError, Upload, type UploadOptions } from 'tus-js-client';

/** Quick retries, as many as the default has. */
export const QUICK_RETRIES: number[] = [0, 30, 60, 120];

export interface StockOutcome {
  outcome: 'success' | 'error';
  /** Status of the response that ended it, 0 without one. */
  status: number;
  body: string;
  /** Address of the upload. */
  url: string;
}

/** The outcome that a user of the client sees. Without `retryDelays` the client's default applies. */
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
