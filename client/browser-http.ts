import { type Transport, TransportError, type TransportRequest, type TransportResponse } from './ports.ts';

/** XMLHttpRequest: `fetch` does not tell how much of a body has left. */
export const browserTransport: Transport = {
  async send(request: TransportRequest): Promise<TransportResponse> {
    const { body, signal } = request;
    // Bytes, not a part of the file: Safari 26 stalls on bodies that are backed by a file. In a Blob of their own: Chromium
    // copies plain bytes into its message to the network process on the page's own thread, a tenth as fast and frozen meanwhile.
    const bytes = body === undefined ? null : await body.read(0, body.size);
    signal.throwIfAborted();
    return sendBytes(request, bytes);
  },
};

function sendBytes(request: TransportRequest, bytes: Uint8Array<ArrayBuffer> | null): Promise<TransportResponse> {
  const { method, url, headers, withCredentials, signal, onSent } = request;
  return new Promise((resolve, reject) => {
    const xhr = new XMLHttpRequest();
    let sent = 0;
    const abort = () => {
      xhr.abort();
      reject(signal.reason);
    };
    const end = (settle: () => void) => {
      signal.removeEventListener('abort', abort);
      settle();
    };
    const moved = (count: number) => {
      if (signal.aborted || count <= sent) return;
      sent = count;
      onSent(count);
    };
    // It throws for what is no header or no address: that is for the caller to hear.
    xhr.open(method, url, true);
    xhr.withCredentials = withCredentials;
    for (const [name, value] of Object.entries(headers)) xhr.setRequestHeader(name, value);
    if (bytes !== null && bytes.length > 0) {
      // Listening makes even a simple request of another origin be asked for before, so only where there is something to hear.
      xhr.upload.onprogress = (event) => moved(event.loaded);
      xhr.upload.onload = () => moved(bytes.length);
    }
    xhr.onload = () =>
      end(() => {
        // The answer may come before the body is out; then the rest is not wanted.
        if (xhr.status >= 200 && xhr.status <= 299) moved(bytes?.length ?? 0);
        resolve({ status: xhr.status, header: (name) => xhr.getResponseHeader(name), text: xhr.responseText });
      });
    xhr.onerror = () => end(() => reject(new TransportError('The connection failed.', { isUnreachable: sent === 0 })));
    xhr.onabort = () => end(() => reject(signal.reason ?? new TransportError('The browser ended the request.', { isUnreachable: false })));
    signal.addEventListener('abort', abort, { once: true });
    xhr.send(bytes === null ? null : new Blob([bytes]));
  });
}
