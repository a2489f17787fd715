import { OpenFile } from './open-file.ts';

/**
 * Writes content to a new file and makes it durable.
 * @throws EEXIST when the file exists; the signal's reason, with part of the file left behind
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
