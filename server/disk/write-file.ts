import { OpenFile } from './open-file.ts';

/**
 * Makes a new file of what comes, and makes it durable.
 * @throws EEXIST when there is one; the signal's reason, the file half made
 */
export async function writeFileFrom(content: AsyncIterable<Buffer>, to: string, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  const target = await OpenFile.open(to, 'wx', 0o640);
  try {
    let position = 0;
    for await (const piece of content) {
      for (let written = 0; written < piece.byteLength; ) {
        signal?.throwIfAborted();
        const bytes = await target.writev([piece.subarray(written)], position);
        written += bytes;
        position += bytes;
      }
    }
    signal?.throwIfAborted();
    await target.sync();
  } finally {
    await target.close();
  }
}
