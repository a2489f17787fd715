import { type Transport, TransportError, type TransportRequest, type TransportResponse } from '../ports.ts';

/** XMLHttpRequest: `fetch` does not tell how much of a body has left. */
export const browserTransport: Transport = {
  async send(request: TransportRequest): Promise<TransportResponse> {
    const { body, signal } = request;
    // Bytes, not a part of the file: Safari 26 stalls on bodies that are backed by a file. In a Blob of their own: Chromium
    // copies plain bytes into its message to the network process on the page's own thread, a tenth as fast and frozen meanwhile.
    const bytes = body === undefined ? null : await body.read(0, body.size);
    signal.throwIfAborted();
    return sendBytes(request, bytes === null ? null : blobOf(bytes));
  },
};

/** Its own copy of them. They are let go of at once: waiting for the garbage collection, chunks pile up by the hundred MiB. */
function blobOf(bytes: Uint8Array<ArrayBuffer>): Blob {
  const blob = new Blob([bytes]);
  const { buffer } = bytes;
  // Where there is no `transfer` (before Safari 17.4, Firefox 122, Chromium 114) they wait. A view on more is not ours to take.
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
    if (body !== null && body.size > 0) {
      // Listening makes even a simple request of another origin be asked for before, so only where there is something to hear.
      xhr.upload.onprogress = (event) => moved(event.loaded);
      xhr.upload.onload = () => moved(body.size);
    }
    xhr.onload = () =>
      end(() => {
        // The answer may come before the body is out; then the rest is not wanted.
        if (xhr.status >= 200 && xhr.status <= 299) moved(body?.size ?? 0);
        resolve({ status: xhr.status, header: (name) => xhr.getResponseHeader(name), text: xhr.responseText });
      });
    xhr.onerror = () => end(() => reject(new TransportError('The connection failed.', { isUnreachable: sent === 0 })));
    xhr.onabort = () => end(() => reject(signal.reason ?? new TransportError('The browser ended the request.', { isUnreachable: false })));
    signal.addEventListener('abort', abort, { once: true });
    xhr.send(body);
  });
}
