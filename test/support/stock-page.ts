// Runs in Chromium: unmodified uploaders as people have them on their pages. Bundled by `serveStockPage`.
import Uppy from '@uppy/core';
import UppyTus from '@uppy/tus';
import { DetailedError, Upload } from 'tus-js-client';

export interface PageUpload {
  endpoint: string;
  name: string;
  /** Base64. */
  bytes: string;
  /** Zeros are appended up to this many bytes: cheaper than passing them into the page. */
  padTo?: number;
  /** Absent: the client's default. */
  retryDelays?: number[];
}

export interface PageOutcome {
  outcome: 'success' | 'error';
  status: number;
  body: string;
  url: string;
}

declare global {
  interface Window {
    uploadWithTus(upload: PageUpload): Promise<PageOutcome>;
    uploadWithUppy(upload: PageUpload): Promise<PageOutcome>;
  }
}

function fileOf({ bytes, name, padTo = 0 }: PageUpload): File {
  const start = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
  return new File([start, new Uint8Array(Math.max(0, padTo - start.byteLength))], name);
}

function outcomeOf(error: unknown, url: string): PageOutcome {
  const response = error instanceof DetailedError ? error.originalResponse : null;
  return { outcome: 'error', status: response?.getStatus() ?? 0, body: response?.getBody() ?? String(error), url };
}

window.uploadWithTus = (wanted) =>
  new Promise((resolve) => {
    const upload = new Upload(fileOf(wanted), {
      endpoint: wanted.endpoint,
      metadata: { filename: wanted.name },
      ...(wanted.retryDelays === undefined ? {} : { retryDelays: wanted.retryDelays }),
      onSuccess: () => resolve({ outcome: 'success', status: 0, body: '', url: upload.url ?? '' }),
      onError: (error) => resolve(outcomeOf(error, upload.url ?? '')),
    });
    upload.start();
  });

window.uploadWithUppy = async (wanted) => {
  const uppy = new Uppy();
  uppy.use(UppyTus, {
    endpoint: wanted.endpoint,
    ...(wanted.retryDelays === undefined ? {} : { retryDelays: wanted.retryDelays }),
  });
  let failure: unknown;
  uppy.on('upload-error', (_file, error) => {
    failure = error;
  });
  uppy.addFile({ name: wanted.name, data: fileOf(wanted) });
  const result = await uppy.upload();
  const [done] = result?.successful ?? [];
  if (done) return { outcome: 'success', status: 0, body: '', url: done.uploadURL ?? '' };
  const cause = failure instanceof Error && failure.cause !== undefined ? failure.cause : failure;
  return outcomeOf(cause, '');
};
