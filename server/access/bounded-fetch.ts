// Requests to servers that others run: limited in time and size, without redirects.

export interface BoundedAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface FetchBounds {
  /** Time limit of the whole exchange, up to the last byte of the body. */
  timeoutMs: number;
  /** Most bytes of the decompressed body. */
  maxBytes: number;
}

/**
 * Does not follow redirects: the request is meant for one server only.
 * @throws Error that contains neither the address nor a part of it
 */
export async function boundedFetch(url: URL, init: RequestInit, { timeoutMs, maxBytes }: FetchBounds): Promise<BoundedAnswer> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal });
    return { status: response.status, headers: response.headers, text: await textOf(response, maxBytes) };
  } catch (error) {
    if (signal.aborted) throw new Error(`There was no answer within ${timeoutMs} ms.`);
    // Undici says `fetch failed`; the reason is in the cause.
    throw error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
  }
}

async function textOf({ body }: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the rest and closes the connection.
    if (bytes > maxBytes) throw new Error(`The answer is longer than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
