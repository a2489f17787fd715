// Requests of ours to servers that others run: what comes back is small, soon, and from where we asked.

export interface BoundedAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export interface FetchBounds {
  /** For all of it, the body's last byte included. */
  timeoutMs: number;
  /** Of the body, unpacked. */
  maxBytes: number;
}

/**
 * Redirects are not followed: what is sent is for one server alone.
 * @throws Error that names neither the address nor what is in it
 */
export async function boundedFetch(url: URL, init: RequestInit, { timeoutMs, maxBytes }: FetchBounds): Promise<BoundedAnswer> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, { ...init, redirect: 'manual', signal });
    return { status: response.status, headers: response.headers, text: await textOf(response, maxBytes) };
  } catch (error) {
    if (signal.aborted) throw new Error(`There was no answer within ${timeoutMs} ms.`);
    // Undici says `fetch failed`, and why in the cause.
    throw error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
  }
}

async function textOf({ body }: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the rest, and closes the connection.
    if (bytes > maxBytes) throw new Error(`The answer is longer than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
