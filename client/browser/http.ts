import { type Transport, TransportError, type TransportRequest, type TransportResponse } from '../ports.ts';

/** Uses XMLHttpRequest, because `fetch` does not report how much of a body was sent. */
export const browserTransport: Transport = {
  async send(request: TransportRequest): Promise<TransportResponse> {
    const { body, signal } = request;
    // Sends bytes in memory, because Safari 26 stalls on bodies backed by a file. Wraps them in a Blob, because Chromium copies an
    // ArrayBuffer to its network process on the page's main thread, which is ten times slower and freezes the page.
    const bytes = body === undefined ? null : await body.read(0, body.size);
    signal.throwIfAborted();
    return sendBytes(request, bytes === null ? null : blobOf(bytes));
  },
};

/** The Blob has its own copy. The original buffer is released at once, or hundreds of MiB would wait for the garbage collector. */
function blobOf(bytes: Uint8Array<ArrayBuffer>): Blob {
  const blob = new Blob([bytes]);
  const { buffer } = bytes;
  // Older browsers have no `transfer` (before Safari 17.4, Firefox 122, Chromium 114). A buffer larger than the view belongs to the caller.
  if (bytes.byteLength === buffer.byteLength && 'transfer' in buffer) buffer.transfer(0);
  return blob;
}

function sendBytes(request: TransportRequest, body: Blob | null): Promise<TransportResponse> {
  const { method, url, headers, withCredentials, signal, onSent } = request;
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let sent = 0;
    const abort = () => {
      xhr.abort();
      reject(signal.reason);
    };
    const finish = (settle: () => void) => {
      signal.removeEventListener('abort', abort);
      settle();
    };
    const reportSent = (count: number) => {
      if (signal.aborted || count <= sent) return;
      sent = count;
      onSent(count);
    };
    // `open` and `setRequestHeader` throw for an invalid address or header; the caller gets the error.
    xhr.open(method, url, true);
    xhr.withCredentials = withCredentials;
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (body !== null && body.size > 0) {
      // A progress listener makes a cross-origin request need a preflight, so it is set only for requests with a body.
      xhr.upload.onprogress = (event) => reportSent(event.loaded);
      xhr.upload.onload = () => reportSent(body.size);
    }
    xhr.onload = () =>
      finish(() => {
        // The response may arrive before the whole body was sent. With a 2xx the server does not need the rest.
        if (xhr.status >= 200 && xhr.status <= 299) reportSent(body?.size ?? 0);
        resolve({ status: xhr.status, header: (name) => xhr.getResponseHeader(name), text: xhr.responseText });
      });
    xhr.onerror = () => finish(() => reject(new TransportError('The connection failed.', { isUnreachable: sent === 0 })));
    xhr.onabort = () =>
      finish(() => reject(signal.reason ?? new TransportError('The browser ended the request.', { isUnreachable: false })));
    signal.addEventListener('abort', abort, { once: true });
    xhr.send(body);
  });
}
